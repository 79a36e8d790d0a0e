package sync

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// record is a release and what became of it.
func record(number int, result manifests.Result) manifests.Record {
	return manifests.Record{Number: number, Outcome: manifests.Outcome{Result: result}}
}

// left is a release that was healthy, and that people have gone back from to another.
func left(number, to int) manifests.Record {
	r := record(number, manifests.RolledBack)
	r.Outcome.Healthy, r.Outcome.To = true, to
	return r
}

func TestARollbackGoesToAHealthyReleaseThatDoesNotRun(t *testing.T) {
	const kept, superseded, rolledBack, failed = manifests.Kept, manifests.Superseded, manifests.RolledBack, manifests.Failed
	backTo1 := left(4, 1)
	for _, test := range []struct {
		name    string
		records []manifests.Record
		to      int
		want    int
		err     string
	}{
		{"the one before the newest", []manifests.Record{record(1, kept), record(2, kept), record(3, kept)}, 0, 2, ""},
		{"the one asked for", []manifests.Record{record(1, kept), record(2, kept), record(3, kept)}, 1, 1, ""},
		{"past those that never were healthy", []manifests.Record{record(1, kept), record(2, superseded), record(3, failed), record(4, kept)}, 0, 1, ""},
		{"the last kept one while another is judged", []manifests.Record{record(1, kept), record(2, kept), record(3, manifests.Applying)}, 0, 2, ""},
		{"further back after a rollback", []manifests.Record{record(1, kept), record(2, kept), record(3, rolledBack)}, 0, 1, ""},
		{"further back than where people went", []manifests.Record{record(1, kept), record(2, kept), record(3, kept), left(4, 2)}, 0, 1, ""},
		{"forth again to what people went back from", []manifests.Record{record(1, kept), record(2, kept), left(3, 1)}, 3, 3, ""},
		{"not further back than the oldest", []manifests.Record{record(1, kept), record(2, kept), backTo1}, 0, 0,
			"release 1 runs, and no healthy one before it is stored; those to go back to are 4, 2"},
		{"not where there is nothing", nil, 0, 0, "no release to go back to"},
		{"not where there is only one", []manifests.Record{record(1, kept)}, 0, 0, "no release to go back to"},
		{"not to what runs", []manifests.Record{record(1, kept), record(2, kept)}, 2, 0, "release 2 runs already; those to go back to are 1"},
		{"not to what runs since a rollback", []manifests.Record{record(1, kept), record(2, kept), record(3, rolledBack)}, 2, 0,
			"release 2 runs already; those to go back to are 1"},
		{"not to what failed", []manifests.Record{record(1, kept), record(2, rolledBack), record(3, kept), record(4, kept)}, 2, 0,
			"release 2 was not healthy (RolledBack); those to go back to are 3, 1"},
		{"not to what is not stored", []manifests.Record{record(1, kept), record(3, kept), record(4, kept)}, 2, 0,
			"release 2 is not stored; those to go back to are 3, 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Target(test.records, test.to)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if got.Number != test.want {
				t.Errorf("release %d, want %d", got.Number, test.want)
			}
		})
	}
}

// twice is an agent that has kept v1 and then v2, as releases 1 and 2.
func twice(t testing.TB) *agent {
	t.Helper()
	a := kept(t)
	a.pushGood()
	a.until("v2", manifests.Kept)
	a.settle()
	a.events = nil
	return a
}

// takeBack asks for a rollback as `belay rollback` does.
func (a *agent) takeBack(at, to string) {
	a.asked[v1alpha1.AnnotationRollback] = `{"at":"` + at + `","by":"ana","reason":"orders are lost"` + to + `}`
}

func TestARollbackByHandIsAHoldWithWhoAndWhy(t *testing.T) {
	a := twice(t)
	from := len(a.calls)
	a.takeBack("now", "")
	a.refuse["Head"], a.refuse["Pin"] = down, down // neither Git nor the registry is asked
	a.pass()
	a.until("v2", manifests.RolledBack)
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
	clear(a.refuse)
	a.settle()
	held := a.status.Held
	if held == nil || held.Commit != "v2" || held.Reason != "RolledBackByHand" || held.Message != "taken back by ana: orders are lost" || held.RolledBackTo != "v1" {
		t.Errorf("held is %+v", held)
	}
	if a.status.Phase != v1alpha1.RolledBack || !strings.Contains(a.ready().Message, "orders are lost") {
		t.Errorf("%s: %s", a.status.Phase, a.ready().Message)
	}
	if a.out.Frozen {
		t.Error("what people take back does not freeze")
	}
	if marks := only(a.calls[from:], func(call string) bool { return strings.HasPrefix(call, "Mark 2 RollingBack") }); len(marks) > 2 {
		t.Errorf("asked once, and done %v", marks)
	}
	t.Run("that a restart does not end", func(t *testing.T) {
		from := len(a.calls)
		a.tags["acme/cart:2"] = "sha256:moved"
		a.restart()
		a.settle()
		if wrote := only(a.calls[from:], writes); len(wrote) > 0 {
			t.Errorf("wrote %v", wrote)
		}
	})
	t.Run("that ends with a new commit", func(t *testing.T) {
		a.push("v3", config("vars", "3"), web("cart", "acme/cart:1"))
		a.settle()
		if a.status.Held != nil || a.status.Phase != v1alpha1.Kept || a.status.Deployed.Commit != "v3" {
			t.Errorf("%s, held %+v, deployed %+v", a.status.Phase, a.status.Held, a.status.Deployed)
		}
	})
}

func TestARollbackByHandGoesToTheReleaseThatItNames(t *testing.T) {
	a := twice(t)
	a.push("v3", config("vars", "3"), web("cart", "acme/cart:1"))
	a.until("v3", manifests.Kept)
	a.settle()
	a.takeBack("now", `,"to":1`)
	a.pass()
	a.until("v3", manifests.RolledBack)
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
	if a.status.Deployed.Release != 1 {
		t.Errorf("deployed is %+v", a.status.Deployed)
	}

	t.Run("where the next bad release goes back to as well", func(t *testing.T) {
		a.tags["acme/cart:4"] = "sha256:bad"
		a.push("v4", web("cart", "acme/cart:4"))
		a.settle()
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and whose record stays", func(t *testing.T) {
		a.spec.Rollback.Keep = 2
		a.push("v5", web("cart", "acme/cart:4"), config("more", "5"))
		a.settle()
		if find(a.records, 1) == nil {
			t.Errorf("the records are %+v", a.records)
		}
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestARequestThatCannotBeCarriedOutIsToldOnce(t *testing.T) {
	for name, text := range map[string]string{
		"nothing to go to": `{"at":"now","reason":"why"}`,
		"no reason":        `{"at":"now"}`,
		"not JSON":         `please go back`,
	} {
		t.Run(name, func(t *testing.T) {
			a := kept(t)
			a.settle()
			from := len(a.calls)
			a.asked[v1alpha1.AnnotationRollback] = text
			for range 3 {
				a.pass()
			}
			if count := len(slices.DeleteFunc(slices.Clone(a.events), func(e string) bool { return e != "RollbackRefused" })); count != 1 {
				t.Errorf("told %d times", count)
			}
			if wrote := only(a.calls[from:], writes); len(wrote) > 0 || a.status.Phase != v1alpha1.Kept {
				t.Errorf("%s, wrote %v", a.status.Phase, wrote)
			}
		})
	}
}

func TestARetryEndsARollbackByHand(t *testing.T) {
	a := twice(t)
	a.takeBack("now", "")
	a.pass()
	a.until("v2", manifests.RolledBack)
	a.asked[v1alpha1.AnnotationRetryAt] = "now"
	a.settle()
	if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
		t.Error(diff)
	}
	if a.status.Phase != v1alpha1.Kept || a.status.Deployed.Release != 3 {
		t.Errorf("%s, deployed %+v", a.status.Phase, a.status.Deployed)
	}
}

func TestWhatARollbackBroughtIsNotOrphanedByTheNextOne(t *testing.T) {
	for name, between := range map[string]func(a *agent){
		"after the first has ended": func(a *agent) { a.until("v3", manifests.RolledBack); a.settle() },
		"while it goes on":          func(a *agent) {},
		"with a restart between":    func(a *agent) { a.until("v3", manifests.RolledBack); a.restart(); a.settle() },
	} {
		t.Run(name, func(t *testing.T) {
			a := twice(t)
			a.push("v3", config("vars", "3"), web("cart", "acme/cart:2"))
			a.settle()
			a.takeBack("now", `,"to":1`)
			a.pass()
			between(a)
			a.takeBack("then", `,"to":2`)
			a.pass()
			a.until("v3", manifests.RolledBack)
			a.settle()
			if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("nor by a release that follows", func(t *testing.T) {
		a := twice(t)
		a.push("v3", config("vars", "3"), web("cart", "acme/cart:2"))
		a.settle()
		a.takeBack("now", `,"to":1`)
		a.pass()
		a.takeBack("then", `,"to":2`)
		a.refuse["Delete"] = denied
		a.pass()
		a.until("v3", manifests.RolledBack)
		a.push("v4", config("vars", "4"), web("cart", "acme/cart:2"))
		a.poll()
		a.until("v4", manifests.Kept)
		clear(a.refuse)
		a.settle()
		if diff := cmp.Diff([]string{"ConfigMap/shop/vars 4", "Deployment/shop/cart acme/cart@sha256:two"}, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestARequestForAReleaseThatCannotBeReadIsRefused(t *testing.T) {
	a := twice(t)
	a.refuse["Load 1"] = fault{reason: "ReleaseCorrupt"}
	a.takeBack("now", "")
	a.pass()
	a.pass()
	if !slices.Contains(a.events, "RollbackRefused") || a.result() != manifests.Kept {
		t.Errorf("%v %s", a.events, a.result())
	}
}

func TestWhatPeopleGoBackFromIsHeldAlsoWhereItRanAfterARollback(t *testing.T) {
	a := twice(t)
	a.tags["acme/cart:3"] = "sha256:bad"
	a.push("v3", web("cart", "acme/cart:3"))
	a.settle()
	a.tree["revert"], a.head = a.tree["v2"], "revert"
	a.settle()
	a.takeBack("now", "")
	a.pass()
	a.until("v3", manifests.RolledBack)
	a.restart()
	a.settle()
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
	if a.status.Held == nil || a.status.Phase != v1alpha1.RolledBack {
		t.Errorf("%s, held %+v", a.status.Phase, a.status.Held)
	}
	t.Run("until somebody asks", func(t *testing.T) {
		a.asked[v1alpha1.AnnotationRetryAt] = "now"
		a.settle()
		if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatPeopleWentForthToAgainIsOwned(t *testing.T) {
	a := twice(t)
	a.push("v3", config("three", "3"))
	a.settle()
	a.takeBack("now", `,"to":1`)
	a.pass()
	a.until("v3", manifests.RolledBack)
	a.settle()
	a.takeBack("then", `,"to":3`)
	a.pass()
	a.settle()
	if diff := cmp.Diff([]string{"ConfigMap/shop/three 3"}, a.inLive()); diff != "" {
		t.Fatal(diff)
	}
	if a.status.Phase != v1alpha1.Kept || a.status.Held != nil || a.ready().Status != metav1.ConditionTrue {
		t.Errorf("Git wants what runs: %s, held %+v, %+v", a.status.Phase, a.status.Held, a.ready())
	}
	for range 2 {
		a.restart()
		a.settle()
	}
	if len(a.records) != 3 || a.status.Phase != v1alpha1.Kept {
		t.Errorf("%d releases, %s", len(a.records), a.status.Phase)
	}
	a.push("v4", config("four", "4"))
	a.settle()
	if diff := cmp.Diff([]string{"ConfigMap/shop/four 4"}, a.inLive()); diff != "" {
		t.Error(diff)
	}
}
