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

func TestWhatIsPutOffIsNotJudgedByHowItWasBefore(t *testing.T) {
	a := kept(t)
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"), thing("db"))
	a.until("v2", manifests.Kept)
	a.settle()
	db := manifests.ID{Group: "example.org", Kind: "Thing", Namespace: "shop", Name: "db"}
	a.is[db] = manifests.Health{Condition: manifests.Unhealthy, Reason: "QuotaExceeded", Message: "it has failed"}
	a.pass()
	for name, objects := range map[string][]map[string]any{
		"of the first wave": {config("vars", "3"), web("cart", "acme/cart:1"), changed(thing("db"))},
		"of a later wave":   {inWave("-1", config("vars", "3")), web("cart", "acme/cart:1"), inWave("1", changed(thing("db")))},
	} {
		t.Run(name, func(t *testing.T) {
			a.refuse["Apply ConfigMap/shop/vars"], a.refuse["Apply Thing/shop/db"] = noBackend, noBackend
			a.push("v3"+name, objects...)
			a.poll()
			a.passes(time.Minute)
			if a.result() != manifests.Applying {
				t.Fatalf("%s: %+v", a.result(), a.status.Held)
			}
			clear(a.refuse)
			a.until("v3"+name, manifests.Kept)
			a.is[db] = manifests.Health{Condition: manifests.Unhealthy, Reason: "QuotaExceeded", Message: "it has failed"}
		})
	}
}

func TestStabilityBeginsWhenTheLastObjectIsWritten(t *testing.T) {
	a := kept(t)
	a.refuse["Apply ConfigMap/shop/vars"] = noBackend
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"))
	a.poll()
	a.passes(time.Minute)
	clear(a.refuse)
	a.passes(a.out.Next)
	began := a.now
	a.until("v2", manifests.Kept)
	if took := a.now.Sub(began); took < 10*time.Second {
		t.Errorf("it is kept %s after it was written", took)
	}
}

// changed is an object with another spec.
func changed(object map[string]any) map[string]any {
	object["spec"] = map[string]any{"size": int64(2)}
	return object
}

// How an object is written is found out with what is wanted of it: what was tried for a newer release says nothing of an older.
func TestWhatIsPutOffIsTriedAgainAfterANewerReleaseWas(t *testing.T) {
	a := kept(t)
	a.refuse["Apply ConfigMap/shop/vars"] = noBackend
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"))
	a.poll()
	clear(a.refuse)
	a.refuse["Store 3"] = fault{reason: "ClusterUnavailable", temporary: true}
	a.push("v3", config("vars", "3"), web("cart", "acme/cart:1"))
	from := len(a.calls)
	a.passAfter(time.Minute)
	got := only(a.calls[from:], func(call string) bool {
		return call == "Differing" || call == "Store 3" || strings.HasPrefix(call, "Apply ")
	})
	if diff := cmp.Diff([]string{"Differing", "Store 3", "Differing", "Apply ConfigMap/shop/vars"}, got); diff != "" {
		t.Error(diff)
	}
}
