package sync

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// pushElsewhere makes a commit that changes nothing of what the Sync reads.
func (a *agent) pushElsewhere(commit string) {
	a.tree[commit], a.head = a.tree[a.head], commit
}

func TestACommitThatChangesNothingOfWhatIsReadIsPassedOver(t *testing.T) {
	a := kept(t)
	a.settle()
	before := a.status.DeepCopy()
	a.pushElsewhere("v2")
	if diff := cmp.Diff([]string{"Head", "Health"}, a.passAfter(time.Minute)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, &a.status); diff != "" {
		t.Error("the status changes:", diff)
	}
	if !a.out.Indifferent || a.out.Latest != "v2" || a.out.Wanted.Hash != "v1" {
		t.Errorf("indifferent %t, latest %s, wanted %s", a.out.Indifferent, a.out.Latest, a.out.Wanted.Hash)
	}
	t.Run("until something is changed", func(t *testing.T) {
		a.pushElsewhere("v3")
		a.pass()
		a.tags["acme/cart:2"] = "sha256:two"
		a.push("v4", config("vars", "2"), web("cart", "acme/cart:2"), config("new", "2"))
		a.passAfter(time.Minute)
		a.until("v4", manifests.Kept)
	})
	t.Run("and is not come back to", func(t *testing.T) {
		a.settle()
		a.pushElsewhere("v5")
		a.passAfter(time.Minute)
		a.head = "v4"
		if calls := only(a.passAfter(time.Minute), asks); !slices.Equal(calls, []string{"Head"}) || a.status.Wanted.Commit != "v4" {
			t.Errorf("%v, wanted %s", calls, a.status.Wanted.Commit)
		}
	})
}

func TestACommitThatWasPassedOverIsComeBackToFromAnother(t *testing.T) {
	a := kept(t)
	a.settle()
	a.pushElsewhere("v2")
	a.passAfter(time.Minute)
	a.push("v3", config("vars", "3"))
	a.passAfter(time.Minute)
	a.until("v3", manifests.Kept)
	a.settle()
	a.head = "v2" // by a push with force
	a.passAfter(time.Minute)
	if a.until("v2", manifests.Kept); a.status.Deployed.Commit != "v2" {
		t.Errorf("deployed: %+v", a.status.Deployed)
	}
}

func TestACommitThatChangesNothingOfWhatIsReadIsBuiltAllTheSame(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T) *agent{
		"when a person asks for a look": func(t *testing.T) *agent {
			a := kept(t)
			a.asked[v1alpha1.AnnotationSyncAt] = "now"
			return a
		},
		"when a person asks for another try": func(t *testing.T) *agent {
			a := kept(t)
			a.asked[v1alpha1.AnnotationRetryAt] = "now"
			return a
		},
		"when a person asks for what the tags are now": func(t *testing.T) *agent {
			a := kept(t)
			a.asked[v1alpha1.AnnotationResolveAt] = "now"
			return a
		},
		"under another spec": func(t *testing.T) *agent {
			a := kept(t)
			a.spec.Health.Timeout.Duration++
			a.gen++
			return a
		},
		"by a new process": func(t *testing.T) *agent {
			a := kept(t)
			a.restart()
			return a
		},
		"after a release that is held": func(t *testing.T) *agent { return held(t) },
		"after input that was refused": func(t *testing.T) *agent {
			a := kept(t)
			a.push("refused")
			a.poll()
			return a
		},
		"while what is wanted cannot be built": func(t *testing.T) *agent {
			a := kept(t)
			a.pushGood()
			a.refuse["Build"] = down
			a.poll()
			return a
		},
		"while what is wanted waits for others": func(t *testing.T) *agent { return waiting(t) },
		"after people went back by hand":        func(t *testing.T) *agent { return heldByHand(t) },
	} {
		t.Run(name, func(t *testing.T) {
			a := prepare(t)
			a.pushElsewhere("elsewhere")
			if calls := a.passAfter(20 * time.Minute); !slices.Contains(calls, "Commit elsewhere") || a.out.Wanted.Hash != "elsewhere" {
				t.Errorf("%v, wanted %s", calls, a.out.Wanted.Hash)
			}
		})
	}
}

// heldByHand is an agent whose second release was kept, and gone back from by hand.
func heldByHand(t *testing.T) *agent {
	t.Helper()
	a := kept(t)
	a.pushGood()
	a.settle()
	a.takeBack("now", "")
	a.until("v2", manifests.RolledBack)
	a.pass()
	if a.status.Held == nil {
		t.Fatalf("%s is not held", a.status.Phase)
	}
	return a
}

func TestALookThatAnotherSyncAsksForIsNoPersons(t *testing.T) {
	a := kept(t)
	a.settle()
	a.pushElsewhere("v2")
	from := len(a.calls)
	a.now = a.now.Add(time.Second)
	out := a.syncer.Sync(t.Context(), Want{Spec: a.spec, Look: true, SyncAt: a.status.LastHandledReconcileAt})
	if diff := cmp.Diff([]string{"Head", "Health"}, a.calls[from:]); diff != "" || out.Latest != "v2" || out.Wanted.Hash != "v1" {
		t.Errorf("latest %s, wanted %s; %s", out.Latest, out.Wanted.Hash, diff)
	}
}

func TestALookThatHasAnsweredIsNotRepeated(t *testing.T) {
	a := kept(t)
	a.settle()
	a.passAfter(time.Minute) // the remote is asked
	for _, asked := range []struct {
		at   time.Time
		want []string
	}{
		{a.now.Add(-time.Second), nil},
		{a.now.Add(time.Second), []string{"Head"}},
	} {
		from := len(a.calls)
		a.now = a.now.Add(2 * time.Second)
		a.syncer.Sync(t.Context(), Want{Spec: a.spec, Poll: true, Asked: asked.at})
		if diff := cmp.Diff(asked.want, only(slices.Clone(a.calls[from:]), asks), cmpEmpty); diff != "" {
			t.Error(diff)
		}
	}
}

var cmpEmpty = cmp.Transformer("", func(calls []string) string { return strings.Join(calls, ", ") })

func TestADependencyThatACommitDoesNotConcernHasSeenIt(t *testing.T) {
	a := waiting(t)
	same := from(a.spec.Source.URL, "")
	a.syncs[base] = keptSync(same, at("v1"))
	a.passAfter(time.Second)
	if ready := a.ready(); !strings.Contains(ready.Message, "has not looked at commit v2 yet") {
		t.Errorf("%+v", ready)
	}
	a.saw = map[types.NamespacedName]string{base: "v2"}
	a.syncs[base] = keptSync(same, at("v0")) // the status of an earlier commit, which is not the newest any more
	if a.passAfter(time.Second); a.out.State.Open() {
		t.Error("it starts though its dependency has another commit to deploy first")
	}
	a.syncs[base] = keptSync(same, at("v1"))
	a.until("v2", manifests.Kept)
	t.Run("nor one of a commit that was passed over by both", func(t *testing.T) {
		a.settle()
		a.pushElsewhere("v3")
		a.passAfter(time.Minute)
		a.saw[base] = "v3"
		a.push("v4", config("vars", "4"))
		a.passAfter(time.Minute)
		if a.out.State.Open() {
			t.Error("it starts although its dependency has not seen the commit")
		}
		a.saw[base] = "v4"
		a.until("v4", manifests.Kept)
	})
}

func TestAMassPruneIsAllowedByTheCommitThatIsWanted(t *testing.T) {
	w := newWorld()
	w.push("v1", config("a", "1"), config("b", "1"), config("c", "1"), config("d", "1"))
	a := newAgent(t, w)
	a.spec.Apply.MaxPrune = &intstr.IntOrString{Type: intstr.String, StrVal: "25%"}
	a.until("v1", manifests.Kept)
	a.settle()
	a.push("v2", config("a", "1"))
	a.passAfter(time.Minute)
	if p := a.out.Problem; p == nil || p.Temporary {
		t.Fatalf("the problem is %+v", p)
	}
	a.tree["v3"], a.head = fstest.MapFS{"deploy/0.json": a.tree["v2"].(fstest.MapFS)["deploy/0.json"]}, "v3"
	a.asked[v1alpha1.AnnotationAllowPrune] = "v3"
	a.passAfter(time.Minute)
	a.until("v3", manifests.Kept)
}
