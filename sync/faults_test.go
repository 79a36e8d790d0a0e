package sync

// Each of these failed once: they are what reading the pass for faults brought to light.

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// The disposition of the commit before is taken for that of a commit which is not built yet: after a restart (or a
// git revert) it is Rest, so that status.deployed.commit names a commit that never ran, and `belay wait --commit`
// answers 0.
func TestACommitThatCannotBeBuiltYetIsNotToldAsDeployed(t *testing.T) {
	a := kept(t)
	a.restart()
	a.settle()
	a.pushGood()
	a.refuse["Pin"] = down
	a.poll()
	if got := a.status.Deployed.Commit; got != "v1" {
		t.Errorf("deployed is %s; phase %s, wanted %s", got, a.status.Phase, a.status.Wanted.Commit)
	}
}

// The time of the next look is long past during a rollback, for nobody looks: the next pass is in 50 ms, all the time.
func TestALongRollbackIsNotPolled(t *testing.T) {
	a := kept(t)
	a.pushBad()
	a.poll()
	for n, text := range a.releases {
		a.releases[n] = strings.ReplaceAll(text, "sha256:one", "sha256:slow-one")
	}
	a.live[manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}] = map[string]any{"spec": "slow"}
	a.passAfter(2 * time.Minute)
	if a.result() != manifests.RollingBack || a.out.Next < time.Second {
		t.Errorf("%s, next in %s", a.result(), a.out.Next)
	}
}

// The same with a commit that could not be built before the rollback began: the time of its next try passes.
func TestALongRollbackIsNotPolledForACommitThatWaits(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.tags["acme/cart:2"] = "sha256:slow"
	a.poll()
	a.tags["acme/cart:3"] = "sha256:three"
	a.push("v3", web("cart", "acme/cart:3"))
	a.refuse["Pin"] = down
	a.poll()
	for n, text := range a.releases {
		a.releases[n] = strings.ReplaceAll(text, "sha256:one", "sha256:slow-one")
	}
	a.live[manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}] = map[string]any{"spec": "bad"}
	a.pass()
	a.passAfter(2 * time.Minute)
	if a.result() != manifests.RollingBack || a.out.Next < time.Second {
		t.Errorf("%s, next in %s", a.result(), a.out.Next)
	}
}

// And with a changed spec while Git is down, for then it is not known any more what to build.
func TestAChangedSpecWithGitDownIsNotPolled(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.refuse["Pin"] = down
	a.poll()
	a.refuse["Head"] = fault{reason: "Unreachable", temporary: true, after: time.Hour}
	a.spec.Health.Timeout.Duration += time.Minute
	a.gen++
	a.pass()
	a.passAfter(time.Minute)
	if a.out.Next < time.Second {
		t.Errorf("next in %s", a.out.Next)
	}
}

// The same for a process that could not read the journal yet: its backoff is not heeded.
func TestAJournalThatCannotBeReadIsTriedWithBackoff(t *testing.T) {
	a := kept(t)
	a.restart()
	a.refuse["Records"] = down
	for range 4 {
		a.pass()
	}
	if a.out.Next < time.Second {
		t.Errorf("next in %s", a.out.Next)
	}
}

// One failed list of Secrets at the start of a process, and the status forgets what is deployed and held.
func TestAJournalThatCannotBeReadDoesNotWipeTheStatus(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *agent{"that is kept": kept, "that is held": held} {
		t.Run(name, func(t *testing.T) {
			a := start(t)
			a.settle()
			before := *a.status.DeepCopy()
			a.restart()
			a.refuse["Records"] = down
			a.pass()
			got := *a.status.DeepCopy()
			before.Conditions, got.Conditions = nil, nil
			if diff := cmp.Diff(before, got); diff != "" {
				t.Error(diff)
			}
			delete(a.refuse, "Records")
			a.refuse["Head"] = down // the journal is back before Git
			a.pass()
			if a.status.Phase != before.Phase {
				t.Errorf("it was %s and is %s", before.Phase, a.status.Phase)
			}
		})
	}
}

// People can delete Secrets. Without the record of the kept release there is nothing to go back to: that has to be
// said, not to end in a nil pointer, pass after pass.
func TestALostRecordOfTheKeptReleaseIsNoPanic(t *testing.T) {
	for _, result := range []manifests.Result{manifests.RollingBack, manifests.RolledBack, manifests.RollbackFailed} {
		t.Run(string(result), func(t *testing.T) {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("panic: %v", r)
				}
			}()
			a := held(t)
			a.records = a.records[1:]
			a.records[0].Outcome.Result = result
			a.restart()
			for range 3 {
				a.passAfter(time.Minute)
			}
			a.tags["acme/cart:3"] = "sha256:three"
			a.push("v3", web("cart", "acme/cart:3"))
			a.until("v3", manifests.Kept)
		})
	}
}

// A suspended Sync keeps telling its hold; if the journal cannot be read meanwhile, there is no newest release.
func TestASuspendedSyncThatIsHeldNeedsNoJournal(t *testing.T) {
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("panic: %v", r)
		}
	}()
	a := held(t)
	a.restart()
	a.spec.Suspend = true
	a.refuse["Records"] = down
	a.pass()
	if a.status.Held == nil {
		t.Error("the hold is forgotten")
	}
}

// cmd/belay counts a request as handled whatever became of it, and a pass that is rolling back, or that cannot reach
// Git, does not get to it.
func TestARetryThatCouldNotBeMadeYetIsNotForgotten(t *testing.T) {
	t.Run("for Git was down", func(t *testing.T) {
		a := held(t)
		a.asked[v1alpha1.AnnotationRetryAt] = "now"
		a.refuse["Head"] = down
		a.poll()
		clear(a.refuse)
		a.settle()
		if len(a.records) != 3 {
			t.Errorf("%d releases, %s", len(a.records), a.status.Phase)
		}
	})
	t.Run("for the registry was down", func(t *testing.T) {
		a := held(t)
		a.asked[v1alpha1.AnnotationRetryAt] = "now"
		a.refuse["Pin"] = down
		a.pass()
		clear(a.refuse)
		a.settle()
		if len(a.records) != 3 {
			t.Errorf("%d releases, %s", len(a.records), a.status.Phase)
		}
	})
	t.Run("for the rollback was not over", func(t *testing.T) {
		a := kept(t)
		a.pushBad()
		a.poll()
		a.asked[v1alpha1.AnnotationRetryAt] = "now"
		a.pass()
		a.until("v2", manifests.RolledBack)
		a.settle()
		if len(a.records) != 3 {
			t.Errorf("%d releases, %s", len(a.records), a.status.Phase)
		}
	})
}

// The same for `belay sync`: who asks during a rollback is answered after it, not after the interval.
func TestAPollDuringARollbackIsMadeAfterIt(t *testing.T) {
	a := kept(t)
	a.spec.Source.Interval.Duration = 24 * time.Hour
	a.pushBad()
	a.poll()
	a.tags["acme/cart:3"] = "sha256:three"
	a.push("v3", web("cart", "acme/cart:3"))
	a.poll()
	a.until("v2", manifests.RolledBack)
	for range 5 {
		a.passAfter(time.Minute)
	}
	if a.status.Wanted.Commit != "v3" {
		t.Errorf("wanted is %s, next in %s", a.status.Wanted.Commit, a.out.Next)
	}
}

// The record keeps the options that the release was started under, and a changed spec that only went on with it is
// new to the next process.
func TestASpecThatChangedDuringTheJudgingIsNoReasonToTryAgain(t *testing.T) {
	a := kept(t)
	a.pushGood()
	a.tags["acme/cart:2"] = "sha256:slow"
	a.poll()
	a.spec.Health.Timeout.Duration = time.Minute
	a.gen++
	a.pass()
	a.until("v2", manifests.RolledBack)
	a.settle()
	a.restart()
	a.settle()
	if len(a.records) != 2 {
		t.Errorf("%d releases", len(a.records))
	}
}

// Nothing keeps people from writing interval: 0s.
func TestAnIntervalOfNothingIsNotTakenLiterally(t *testing.T) {
	a := kept(t)
	a.spec.Source.Interval.Duration = 0
	a.settle()
	if a.pass(); a.out.Next < time.Second {
		t.Errorf("the remote is asked again in %s", a.out.Next)
	}
}

// The watches tell of drift once. A pass that could not put it right has to remember.
func TestDriftThatCouldNotBePutRightIsNotForgotten(t *testing.T) {
	vars := manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "vars"}
	t.Run("for the API server was down", func(t *testing.T) {
		a := kept(t)
		a.settle()
		delete(a.live, vars)
		a.drifted = true
		a.refuse["Differing"] = down
		a.pass()
		clear(a.refuse)
		a.settle()
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("for the Sync was suspended", func(t *testing.T) {
		a := kept(t)
		a.settle()
		a.spec.Suspend = true
		a.pass()
		delete(a.live, vars)
		a.drifted = true
		a.pass()
		a.spec.Suspend = false
		a.settle()
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
}

// A delete that is denied must not hold up the rest: here the Sync stays RollingBack for ever, and a fix never gets
// its turn.
func TestADeleteThatIsDeniedDoesNotBlockTheRollback(t *testing.T) {
	a := kept(t)
	a.refuse["Delete"] = denied
	a.pushBad()
	a.poll()
	for range 20 {
		a.passAfter(time.Minute)
	}
	if a.result() != manifests.RolledBack {
		t.Errorf("it is %s", a.result())
	}
	a.tags["acme/cart:3"] = "sha256:three"
	a.push("v3", web("cart", "acme/cart:3"))
	for range 20 {
		a.passAfter(time.Minute)
	}
	if diff := cmp.Diff("Deployment/shop/cart acme/cart@sha256:three", a.inLive()[len(a.live)-1]); diff != "" {
		t.Error(diff)
	}
}

// A refused release that stays is looked at as if it were in the cluster. Here its Deployment never was: what is
// healthy is the one of release 1.
func TestAReleaseThatWasNeverWrittenWhollyIsNotKept(t *testing.T) {
	a := kept(t)
	no := false
	a.spec.Rollback.Enabled = &no
	a.pushGood()
	a.refuse["Apply Deployment/shop/cart"] = denied
	a.poll()
	if a.result() != manifests.Failed {
		t.Fatalf("it is %s", a.result())
	}
	for range 10 {
		a.passAfter(10 * time.Second)
	}
	if a.result() == manifests.Kept {
		t.Errorf("release 2 is kept, and in the cluster is %v", a.inLive())
	}
}

// Neither is it when a release that has the same Job comes, or when one is rolled back: that is a second migration.
func TestAJobThatTookItselfAwayIsNotRunAgainByAnotherRelease(t *testing.T) {
	job := manifests.ID{Group: "batch", Kind: "Job", Namespace: "shop", Name: "seed"}
	w := newWorld()
	w.tags["acme/cart:1"], w.tags["acme/cart:2"] = "sha256:one", "sha256:bad"
	w.push("v1", web("cart", "acme/cart:1"), seed())
	a := newAgent(t, w)
	a.until("v1", manifests.Kept)
	a.settle()
	delete(a.live, job)
	from := len(a.calls)
	a.push("v2", web("cart", "acme/cart:2"), seed())
	a.settle()
	for _, call := range a.calls[from:] {
		if call == "Apply "+job.String() {
			t.Errorf("it is run again: %v", only(a.calls[from:], writes))
			break
		}
	}
}

// Refused while it is written, a release has no time from which to count.
func TestTheTimeThatARefusedReleaseTookIsItsOwn(t *testing.T) {
	t.Run("of a first release", func(t *testing.T) {
		w := newWorld()
		w.push("v1", config("vars", "1"))
		a := newAgent(t, w)
		a.refuse["Apply"] = denied
		a.pass()
		if took := a.records[0].Outcome.Took; took != 0 {
			t.Errorf("it took %s, and is held at %s", took, a.status.Held.At)
		}
	})
	t.Run("of a later one", func(t *testing.T) {
		a := kept(t)
		a.now = a.now.Add(24 * time.Hour)
		a.pushGood()
		a.refuse["Apply Deployment/shop/cart"] = denied
		a.poll()
		if took := a.records[1].Outcome.Took; took != 0 {
			t.Errorf("it took %s, and is held at %s; now it is %s", took, a.status.Held.At, a.now)
		}
	})
}

// The kept release was made without resolving, so it has no pins to take over.
func TestImagesArePinnedOnceResolvingIsEnabled(t *testing.T) {
	w := newWorld()
	w.tags["acme/cart:1"] = "sha256:one"
	w.push("v1", web("cart", "acme/cart:1"))
	a := newAgent(t, w)
	a.spec.Images.Resolve = v1alpha1.ResolveNever
	a.settle()
	a.spec.Images.Resolve = v1alpha1.ResolveOnCommit
	a.gen++
	a.settle()
	if diff := cmp.Diff([]string{"Deployment/shop/cart acme/cart@sha256:one"}, a.inLive()); diff != "" {
		t.Error(diff)
	}
}

// No pins may mean that there are none.
func TestImagesOfTheReleaseBeforeAreNotToldAnyMore(t *testing.T) {
	a := kept(t)
	a.push("v2", config("vars", "2"))
	a.settle()
	a.passAfter(time.Second)
	if len(a.status.Images) > 0 {
		t.Errorf("the images are %+v", a.status.Images)
	}
}

// U+009B is an escape sequence's start to a terminal, as much as ESC [ is.
func TestMessagesHoldNoControlCharactersOfTheSecondSet(t *testing.T) {
	if got := shorten("a\u009b31mb\u0085c"); strings.ContainsAny(got, "\u009b\u0085") {
		t.Errorf("got %q", got)
	}
}

func TestFollowIsNotPolledWhileSomethingElseIsTriedAgain(t *testing.T) {
	a := following(t)
	a.spec.Images.Interval = metav1.Duration{Duration: time.Second}
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
	a.refuse["Differing"] = down
	a.poll()
	a.isNotPolled(t)
}

func TestARequestToGoBackThatCannotBeNotedIsNotPolled(t *testing.T) {
	a := twice(t)
	a.takeBack("now", "")
	a.refuse["Mark"] = down
	a.isNotPolled(t)
}

// isNotPolled lets ten minutes pass, each next pass when it is due, and wants few of them.
func (a *agent) isNotPolled(t *testing.T) {
	t.Helper()
	passes := 0
	for end := a.now.Add(10 * time.Minute); a.now.Before(end); passes++ {
		a.pass()
		a.now = a.now.Add(a.out.Next)
		if passes > 200 {
			break
		}
	}
	if passes > 60 {
		t.Errorf("%d passes in ten minutes", passes)
	}
}
