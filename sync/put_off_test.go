package sync

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
)

var (
	noBackend = fault{reason: "WebhookUnavailable", temporary: true}
	noKind    = fault{reason: "UnknownKind", temporary: true}
)

// webhooks is a configuration of webhooks that says value.
func webhooks(name, value string) map[string]any {
	return map[string]any{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
		"metadata": map[string]any{"name": name}, "data": map[string]any{"value": value}}
}

// thing is a custom resource.
func thing(name string) map[string]any {
	return map[string]any{"apiVersion": "example.org/v1", "kind": "Thing", "metadata": map[string]any{"name": name}}
}

func TestWhatAWebhookRefusesIsPutOffAndTriedAgainAlone(t *testing.T) {
	a := kept(t)
	a.tags["acme/cart:2"] = "sha256:two"
	a.refuse["Apply ConfigMap/shop/vars"] = noBackend
	a.push("v2", config("vars", "2"), config("other", "2"), web("cart", "acme/cart:2"), webhooks("hooks", "2"))
	a.poll()
	want := []string{"Apply ConfigMap/shop/vars", "Apply ConfigMap/shop/other", "Apply Deployment/shop/cart", "Apply ValidatingWebhookConfiguration/hooks"}
	if diff := cmp.Diff(want, applied(a.writtenFrom("Store 2"))); diff != "" {
		t.Fatal(diff)
	}
	if ready := a.ready(); ready.Reason != "WebhookUnavailable" || a.out.Next > 2*time.Second {
		t.Errorf("%+v, next in %s", ready, a.out.Next)
	}
	from := len(a.calls)
	for range 100 { // a rollout calls for many passes
		a.passAfter(100 * time.Millisecond)
	}
	tried := only(a.calls[from:], touches)
	if len(tried) < 2 || len(tried) > 4 || len(only(tried, func(call string) bool { return call != "Apply ConfigMap/shop/vars" })) > 0 {
		t.Errorf("within 10 s it tried %v", tried)
	}
	clear(a.refuse)
	if a.out.Next > longestPutOff*5/4 {
		t.Errorf("next in %s", a.out.Next)
	}
	a.until("v2", manifests.Kept)
	if tried := only(a.calls[from:], func(call string) bool {
		return touches(call) && call != "Apply ConfigMap/shop/vars" && call != "Delete ConfigMap/shop/old"
	}); len(tried) > 0 {
		t.Error(tried)
	}
}

func TestWhatIsPutOffForTooLongIsRolledBack(t *testing.T) {
	a := kept(t)
	a.refuse["Apply ConfigMap/shop/vars"] = noBackend
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"))
	a.after = func(call string) {
		if strings.HasPrefix(call, "Mark 2") {
			clear(a.refuse)
		}
	}
	a.until("v2", manifests.RolledBack)
	if held := a.status.Held; held.Reason != "WebhookUnavailable" || !strings.HasPrefix(held.Message, "not applied within 5m0s") {
		t.Errorf("%+v", held)
	}
}

func TestABackendThatCrashesIsNotWaitedFor(t *testing.T) {
	a := kept(t)
	a.tags["acme/cart:2"] = "sha256:bad"
	a.refuse["Apply ConfigMap/shop/vars"] = noBackend
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:2"))
	a.poll()
	if a.result() != manifests.RollingBack || a.status.Held.Reason != "CrashLoopBackOff" {
		t.Errorf("%s: %+v", a.result(), a.status.Held)
	}
}

func TestWebhooksComeAfterWhatWaitsForItsKind(t *testing.T) {
	a := kept(t)
	a.refuse["Apply Thing/shop/pin"] = noKind
	a.push("v2", config("vars", "2"), thing("pin"), webhooks("hooks", "2"))
	a.poll()
	if diff := cmp.Diff([]string{"Apply ConfigMap/shop/vars", "Apply Thing/shop/pin"}, applied(a.writtenFrom("Store 2"))); diff != "" {
		t.Fatal(diff)
	}
	clear(a.refuse)
	from := len(a.calls)
	a.until("v2", manifests.Kept)
	if diff := cmp.Diff([]string{"Apply Thing/shop/pin", "Apply ValidatingWebhookConfiguration/hooks"}, applied(a.calls[from:])); diff != "" {
		t.Error(diff)
	}
}

func TestAWaveWaitsForWhatIsPutOff(t *testing.T) {
	a := kept(t)
	a.refuse["Apply ConfigMap/shop/vars"] = noBackend
	a.push("v2", config("vars", "2"), config("other", "2"), inWave("1", config("last", "2")))
	a.poll()
	a.passAfter(time.Second)
	if a.live[manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "last"}] != nil {
		t.Fatal("the second wave came")
	}
	clear(a.refuse)
	a.until("v2", manifests.Kept)
	if a.live[manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "last"}] == nil {
		t.Fatal("the second wave never came")
	}
}
