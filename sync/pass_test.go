package sync

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestAGoodCommitIsAppliedJudgedAndKept(t *testing.T) {
	w := newWorld()
	w.tags["acme/cart:1"] = "sha256:one"
	w.push("v1", web("cart", "acme/cart:1"), config("vars", "1"))
	a := newAgent(t, w)

	t.Run("in this order", func(t *testing.T) {
		want := []string{
			"Head", "Commit v1", "Tree v1", "Build deploy", "Place", "Pin", "Differing", "Store 1",
			"Apply ConfigMap/shop/vars", "Apply Deployment/shop/cart", "Health closely", "ReplacePods",
		}
		if diff := cmp.Diff(want, a.pass()); diff != "" {
			t.Error(diff)
		}
		if a.status.Phase != v1alpha1.Watching || a.out.Next != tellAfter || len(a.events) > 0 {
			t.Errorf("%s, next in %s, told %v", a.status.Phase, a.out.Next, a.events)
		}
	})
	t.Run("told after a while", func(t *testing.T) {
		if a.passAfter(a.out.Next); a.out.Next != 10*time.Second-tellAfter || len(a.events) != 1 {
			t.Errorf("next in %s, told %v", a.out.Next, a.events)
		}
	})
	t.Run("not before it was stable", func(t *testing.T) {
		if diff := cmp.Diff([]string{"Health closely", "ReplacePods"}, a.passAfter(a.out.Next-time.Second)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and once it was", func(t *testing.T) {
		if diff := cmp.Diff([]string{"Mark 1 Kept, pruned"}, only(a.passAfter(time.Second), writes)); diff != "" {
			t.Error(diff)
		}
		if a.status.Phase != v1alpha1.Kept || a.status.Deployed.Commit != "v1" {
			t.Errorf("%s: %+v", a.status.Phase, a.status.Deployed)
		}
		if took := a.records[0].Outcome.Took; took != 10*time.Second {
			t.Errorf("it took %s", took)
		}
		if diff := cmp.Diff([]string{"ReleaseStarted", "Kept"}, a.events); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("with pinned images and the labels of its owner", func(t *testing.T) {
		if diff := cmp.Diff([]string{"ConfigMap/shop/vars 1", "Deployment/shop/cart acme/cart@sha256:one"}, a.inLive()); diff != "" {
			t.Error(diff)
		}
		for id, object := range a.live {
			labels := object["metadata"].(map[string]any)["labels"]
			want := map[string]any{manifests.LabelSync: "shop", manifests.LabelNamespace: "shop"}
			if diff := cmp.Diff(want, labels); diff != "" {
				t.Error(id, diff)
			}
		}
	})
}

func TestInputThatIsRefusedWritesNothing(t *testing.T) {
	for _, test := range []struct {
		name   string
		spoil  func(*agent)
		reason string
	}{
		{"because it does not render", func(a *agent) { a.refuse["Build"] = fault{reason: "InvalidYAML"} }, "InvalidYAML"},
		{"because nothing is rendered", func(a *agent) { a.push("v2") }, "NothingRendered"},
		{"because an image is not there", func(a *agent) { delete(a.tags, "acme/cart:2") }, "ImageNotFound"},
		{"because the dry run refuses it", func(a *agent) { a.refuse["Differing"] = denied }, "AdmissionDenied"},
		{"because it has no place", func(a *agent) { a.refuse["Place"] = fault{reason: "DuplicateObject"} }, "DuplicateObject"},
		{"because the tree is refused", func(a *agent) { a.refuse["Tree"] = fault{reason: "SubmoduleRefused"} }, "SubmoduleRefused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := kept(t)
			a.pushGood()
			test.spoil(a)
			if wrote := only(a.poll(), writes); len(wrote) > 0 {
				t.Errorf("wrote %v", wrote)
			}
			if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
				t.Error(diff)
			}
			if p := a.out.Problem; p == nil || p.Reason != test.reason || p.Temporary || !strings.HasPrefix(p.Message, "commit v2: ") {
				t.Fatalf("the problem is %+v", p)
			}
			if diff := cmp.Diff([]string{test.reason}, a.events); diff != "" {
				t.Error("events:", diff)
			}
			t.Run("and is not tried again by itself", func(t *testing.T) {
				clear(a.refuse)
				a.tags["acme/cart:2"] = "sha256:two"
				if calls := only(a.passAfter(time.Hour), func(call string) bool { return call != "Head" && call != "Health" }); len(calls) > 0 {
					t.Errorf("called %v", calls)
				}
				if p := a.out.Problem; p == nil || p.Reason != test.reason {
					t.Errorf("the problem is %+v", p)
				}
			})
			t.Run("but under another spec it is", func(t *testing.T) {
				a.pushGood()
				a.spec.Health.Timeout.Duration += time.Minute
				a.gen++
				a.until("v2", manifests.Kept)
				if a.out.Problem != nil {
					t.Errorf("the problem is %+v", a.out.Problem)
				}
			})
		})
	}
}

func TestAnImageThatIsNotThereIsToldWithItsContainer(t *testing.T) {
	a := kept(t)
	a.push("v2", web("cart", "acme/cart:9"))
	a.poll()
	want := "commit v2: Deployment/shop/cart (deploy/0.json): container cart: no: ImageNotFound"
	if got := a.out.Problem.Message; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAReleaseIsStoredBeforeTheFirstWriteWithAllThatIsOwned(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.after = func(call string) {
		if !strings.HasPrefix(call, "Apply") && !strings.HasPrefix(call, "Delete") {
			return
		}
		release, err := inJournal{a.world}.Load(t.Context(), len(a.records))
		if err != nil {
			t.Fatal(err)
		}
		owned := manifests.Union(release.Owned, release.Objects.IDs())
		for id := range a.live {
			if !slices.Contains(owned, id) {
				t.Errorf("at %q %s is in the cluster, and in no record", call, id)
			}
		}
	}
	wrote := only(a.poll(), writes)
	if diff := cmp.Diff([]string{"Store 2", "Apply ConfigMap/shop/vars", "Apply ConfigMap/shop/new", "Apply Deployment/shop/cart"}, wrote); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyWhatDiffersIsWritten(t *testing.T) {
	a := kept(t)
	a.tags["acme/cart:2"] = "sha256:two"
	a.push("v2", config("vars", "1"), web("cart", "acme/cart:2"), config("old", "1"))
	if diff := cmp.Diff([]string{"Store 2", "Apply Deployment/shop/cart"}, only(a.poll(), writes)); diff != "" {
		t.Error(diff)
	}
}

func TestPruneWaitsForTheVerdict(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.poll()
	for range 9 {
		if wrote := only(a.passAfter(time.Second), writes); len(wrote) > 0 {
			t.Fatalf("before the verdict it wrote %v", wrote)
		}
	}
	want := []string{"Mark 2 Kept", "Delete ConfigMap/shop/old", "Mark 2 Kept, pruned"}
	if diff := cmp.Diff(want, only(a.passAfter(time.Second), writes)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCannotBePrunedYetIsTriedAgain(t *testing.T) {
	a := kept(t)
	a.pushGood()
	old := manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "old"}
	a.stuck[old] = true
	a.until("v2", manifests.Kept)
	if p := a.out.Problem; p == nil || p.Reason != "PruneUnfinished" || !strings.Contains(p.Message, old.String()) {
		t.Errorf("the problem is %+v", p)
	}
	if a.records[1].Outcome.Pruned {
		t.Error("it counts as pruned")
	}
	a.restart()
	a.pass()
	delete(a.stuck, old)
	a.passAfter(a.out.Next)
	if !a.records[1].Outcome.Pruned || a.out.Problem != nil {
		t.Errorf("pruned is %t, the problem is %+v", a.records[1].Outcome.Pruned, a.out.Problem)
	}
	if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCouldNotBePrunedIsOwnedByTheNextRelease(t *testing.T) {
	for name, next := range map[string]func(a *agent){
		"that is kept":        func(a *agent) { a.tags["acme/cart:3"] = "sha256:three" },
		"that is rolled back": func(a *agent) { a.tags["acme/cart:3"] = "sha256:bad" },
	} {
		t.Run(name, func(t *testing.T) {
			a := kept(t)
			old := manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "old"}
			a.stuck[old] = true
			a.pushGood()
			a.until("v2", manifests.Kept)
			next(a)
			a.push("v3", config("vars", "2"), web("cart", "acme/cart:3"), config("new", "2"))
			a.poll()
			delete(a.stuck, old)
			a.settle()
			if len(a.records) != 3 || a.live[old] != nil {
				t.Errorf("%d releases, in the cluster is %v", len(a.records), a.inLive())
			}
		})
	}
}

func TestWithoutPruningNothingIsDeleted(t *testing.T) {
	a := kept(t)
	no := false
	a.spec.Apply.Prune = &no
	a.pushGood()
	a.until("v2", manifests.Kept)
	for range 3 {
		a.passAfter(time.Minute)
	}
	if deleted := only(a.calls, func(call string) bool { return strings.HasPrefix(call, "Delete") }); len(deleted) > 0 {
		t.Errorf("deleted %v", deleted)
	}
	t.Run("until it is enabled", func(t *testing.T) {
		a.spec.Apply.Prune = nil
		a.gen++
		a.settle()
		if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTiersAreWrittenOneAfterAnother(t *testing.T) {
	w := newWorld()
	hook := map[string]any{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": map[string]any{"name": "a-hook"}}
	ns := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "z"}}
	w.tags["acme/cart:1"] = "sha256:one"
	w.push("v1", hook, web("cart", "acme/cart:1"), config("vars", "1"), ns)
	a := newAgent(t, w)
	want := []string{
		"Store 1", "Apply Namespace/z", "Apply ConfigMap/shop/vars", "Apply Deployment/shop/cart",
		"Apply ValidatingWebhookConfiguration/a-hook",
	}
	if diff := cmp.Diff(want, only(a.pass(), writes)); diff != "" {
		t.Error(diff)
	}
	t.Run("and a tier that fails stops the next ones", func(t *testing.T) {
		b := newAgent(t, newWorld())
		b.tags, b.tree, b.head = a.tags, a.tree, a.head
		b.refuse["Apply ConfigMap/shop/vars"] = down
		for _, call := range b.pass() {
			if strings.HasPrefix(call, "Apply Deployment") || strings.HasPrefix(call, "Apply Validating") {
				t.Errorf("%s", call)
			}
		}
		clear(b.refuse)
		b.until("v1", manifests.Kept)
	})
}

func TestANewCommitInterruptsTheJudging(t *testing.T) {
	a := kept(t)
	a.tags["acme/cart:2"], a.tags["acme/cart:3"] = "sha256:slow", "sha256:three"
	a.push("v2", web("cart", "acme/cart:2"), config("new", "2"))
	a.poll()
	a.push("v3", web("cart", "acme/cart:3"))
	want := []string{"Store 3", "Apply Deployment/shop/cart"}
	if diff := cmp.Diff(want, only(a.passAfter(time.Minute+3*time.Second), writes)); diff != "" {
		t.Error(diff)
	}
	t.Run("and has a patience of its own", func(t *testing.T) {
		if a.out.Verdict.Wait != 10*time.Second {
			t.Errorf("waits for %s", a.out.Verdict.Wait)
		}
	})
	t.Run("and leaves nothing behind", func(t *testing.T) {
		a.settle()
		if diff := cmp.Diff([]string{"Deployment/shop/cart acme/cart@sha256:three"}, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and the one before is told to be superseded", func(t *testing.T) {
		if got := a.status.History[1]; got.Release != 2 || got.Result != string(manifests.Superseded) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestTheSameObjectsUnderAnotherCommitWriteNothing(t *testing.T) {
	a := kept(t)
	a.tree["v1b"], a.head = a.tree["v1"], "v1b"
	a.tags["acme/cart:1"] = "sha256:moved"
	if calls := only(a.poll(), func(call string) bool { return writes(call) || call == "Pin" }); len(calls) > 0 {
		t.Errorf("called %v", calls)
	}
	if got := a.status.Deployed; got.Commit != "v1b" || got.Release != 1 {
		t.Errorf("deployed is %+v", got)
	}
	if a.status.Phase != v1alpha1.Kept || a.status.Wanted.Commit != "v1b" {
		t.Errorf("%s, %+v", a.status.Phase, a.status.Wanted)
	}
}

func TestTheSameObjectsUnderAnotherCommitGoOnBeingJudged(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.poll()
	a.tree["v2b"], a.head = a.tree["v2"], "v2b"
	a.now = a.now.Add(5 * time.Second)
	if wrote := only(a.poll(), writes); len(wrote) > 0 {
		t.Errorf("wrote %v", wrote)
	}
	if diff := cmp.Diff([]string{"Mark 2 Kept", "Delete ConfigMap/shop/old", "Mark 2 Kept, pruned"}, only(a.passAfter(5*time.Second), writes)); diff != "" {
		t.Error(diff)
	}
}

func TestTemporaryErrorsNeverRollBack(t *testing.T) {
	for _, call := range []string{
		"Head", "Commit", "Tree", "Build", "Place", "Pin", "Differing", "Store", "Apply", "Health", "Load", "Mark", "Delete", "Records",
		"Apply Deployment/shop/cart",
	} {
		t.Run(call, func(t *testing.T) {
			a := kept(t)
			if call == "Load" {
				a.restart() // one that remembers its releases reads none
			}
			a.pushGood()
			a.refuse[call] = down
			for range 50 {
				a.passAfter(time.Minute)
				if state := StateOf(a.records); state.Newest.Outcome.Result.Refused() {
					t.Fatalf("it is %s", state.Newest.Outcome.Result)
				}
			}
			if p := a.out.Problem; p == nil || !p.Temporary {
				t.Errorf("the problem is %+v", p)
			}
			if call != "Records" && !slices.ContainsFunc(a.status.Conditions, isReconciling) {
				t.Errorf("the conditions are %+v", a.status.Conditions)
			}
			clear(a.refuse)
			a.until("v2", manifests.Kept)
			a.settle()
			if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnErrorThatDoesNotDescribeItselfIsTemporary(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.refuse["Tree"] = errors.New("broken")
	a.poll()
	if p := a.out.Problem; p == nil || !p.Temporary || p.Reason != "Error" {
		t.Errorf("the problem is %+v", p)
	}
}

// The tries themselves are spaced by whoever asks the remote for all Syncs.
func TestARemoteThatDoesNotAnswerIsToldUntilItDoes(t *testing.T) {
	a := kept(t)
	a.refuse["Head"] = fault{reason: "TooManyRequests", temporary: true, after: time.Hour}
	a.passAfter(2 * time.Minute)
	if p := a.out.Problem; p == nil || p.Reason != "TooManyRequests" {
		t.Errorf("the problem is %+v", p)
	}
	if diff := cmp.Diff([]string{"Head"}, only(a.poll(), asks)); diff != "" {
		t.Error(diff)
	}
	clear(a.refuse)
	a.pushGood()
	a.passAfter(a.out.Next)
	a.until("v2", manifests.Kept)
}

func TestAPassNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := kept(t)
		a.syncer.Clock = time.Now
		a.pushBad()
		start := time.Now()
		for range 20 {
			a.poll()
		}
		a.refuse["Head"], a.refuse["Differing"] = down, fault{reason: "Wait", temporary: true, after: time.Hour}
		a.drifted = true
		a.poll()
		if took := time.Since(start); took > 0 {
			t.Errorf("the passes took %s", took)
		}
	})
}

func isReconciling(c metav1.Condition) bool { return c.Type == v1alpha1.Reconciling }

func TestTheCommitThatGoesOnBeingJudgedIsToldAsDeployed(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.poll()
	a.tree["v2b"], a.head = a.tree["v2"], "v2b"
	a.settle()
	if a.status.Deployed.Commit != "v2b" {
		t.Errorf("deployed is %+v", a.status.Deployed)
	}
	a.restart()
	a.settle()
	if a.status.Deployed.Commit != "v2b" {
		t.Errorf("deployed is %+v", a.status.Deployed)
	}
}
