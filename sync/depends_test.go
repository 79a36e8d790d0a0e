// FAULTS, Apply: dependency not kept, missing, in a circle.

package sync

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// keptSync is a Sync that is kept, with what changes make of it.
func keptSync(changes ...func(*v1alpha1.Sync)) v1alpha1.Sync {
	s := v1alpha1.Sync{ObjectMeta: metav1.ObjectMeta{Generation: 3}, Status: v1alpha1.Status{
		ObservedGeneration: 3, Phase: v1alpha1.Kept,
		Wanted: &v1alpha1.Wanted{Commit: "9f2c1e7000"}, Deployed: &v1alpha1.Deployed{Commit: "9f2c1e7000"},
	}}
	for _, change := range changes {
		change(&s)
	}
	return s
}

func from(url, branch string) func(*v1alpha1.Sync) {
	return func(s *v1alpha1.Sync) { s.Spec.Source.URL, s.Spec.Source.Ref.Branch = url, branch }
}

// at makes a Sync want, and have, a commit.
func at(commit string) func(*v1alpha1.Sync) {
	return func(s *v1alpha1.Sync) { s.Status.Wanted.Commit, s.Status.Deployed.Commit = commit, commit }
}

// on makes a Sync depend on others.
func on(names ...string) func(*v1alpha1.Sync) {
	return func(s *v1alpha1.Sync) { s.Spec.DependsOn = dependOn(names...) }
}

func dependOn(names ...string) []v1alpha1.Dependency {
	var list []v1alpha1.Dependency
	for _, name := range names {
		namespace, rest, ok := strings.Cut(name, "/")
		if !ok {
			namespace, rest = "", name
		}
		list = append(list, v1alpha1.Dependency{Namespace: namespace, Name: rest})
	}
	return list
}

func TestDependencies(t *testing.T) {
	type syncs map[string]v1alpha1.Sync
	now := metav1.Now()
	for _, test := range []struct {
		name  string
		on    []string
		known syncs
		want  string // "Reason: message"
	}{
		{"nothing", nil, nil, ""},
		{"one that is kept", []string{"base"}, syncs{"shop/base": keptSync()}, ""},
		{"one of another namespace", []string{"infra/base"}, syncs{"infra/base": keptSync(), "shop/base": keptSync(func(s *v1alpha1.Sync) { s.Spec.Suspend = true })}, ""},
		{"one that depends on one that is not kept", []string{"base"}, syncs{"shop/base": keptSync(on("deep")), "shop/deep": keptSync(func(s *v1alpha1.Sync) { s.Status.Phase = v1alpha1.Applying })}, ""},
		{"the second is not there", []string{"base", "infra/other"}, syncs{"shop/base": keptSync()},
			"DependencyNotReady: waiting for Sync infra/other, which is not there"},
		{"deleted", []string{"base"}, syncs{"shop/base": keptSync(func(s *v1alpha1.Sync) { s.DeletionTimestamp = &now })},
			"DependencyNotReady: waiting for Sync shop/base, which is being deleted"},
		{"suspended", []string{"base"}, syncs{"shop/base": keptSync(func(s *v1alpha1.Sync) { s.Spec.Suspend = true })},
			"DependencyNotReady: waiting for Sync shop/base, which is suspended"},
		{"of an older spec", []string{"base"}, syncs{"shop/base": keptSync(func(s *v1alpha1.Sync) { s.Generation = 4 })},
			"DependencyNotReady: waiting for Sync shop/base, which has not come to its newest spec yet"},
		{"held", []string{"base"}, syncs{"shop/base": keptSync(func(s *v1alpha1.Sync) {
			s.Status.Phase, s.Status.Held = v1alpha1.RolledBack, &v1alpha1.Held{Commit: "abcdef0123", Reason: "CrashLoopBackOff"}
		})}, "DependencyNotReady: waiting for Sync shop/base, which holds commit abcdef0: CrashLoopBackOff"},
		{"under way", []string{"base"}, syncs{"shop/base": keptSync(func(s *v1alpha1.Sync) { s.Status.Phase = v1alpha1.Watching })},
			"DependencyNotReady: waiting for Sync shop/base, which is Watching"},
		{"new", []string{"base"}, syncs{"shop/base": keptSync(func(s *v1alpha1.Sync) { s.Status, s.Generation = v1alpha1.Status{}, 0 })},
			"DependencyNotReady: waiting for Sync shop/base, which is Pending"},
		{"with a newer commit", []string{"base"}, syncs{"shop/base": keptSync(func(s *v1alpha1.Sync) { s.Status.Wanted.Commit = "abcdef0123" })},
			"DependencyNotReady: waiting for Sync shop/base, which has commit abcdef0 to deploy first"},
		{"of the same repository, at the same commit", []string{"base"}, syncs{"shop/base": keptSync(from("https://git/a/", "main"))}, ""},
		{"of another ref of it", []string{"base"}, syncs{"shop/base": keptSync(from("https://git/a", "stable"), at("abcdef0123"))}, ""},
		{"of another repository", []string{"base"}, syncs{"shop/base": keptSync(from("https://git/b", "main"), at("abcdef0123"))}, ""},
		{"of the same repository, at another commit", []string{"base"}, syncs{"shop/base": keptSync(from("https://git/a.git", "main"), at("abcdef0123"))},
			"DependencyNotReady: waiting for Sync shop/base, which has not looked at commit 9f2c1e7 yet"},
		{"itself", []string{"shop"}, syncs{"shop/shop": keptSync(on("shop"))},
			"DependencyCycle: spec.dependsOn goes round in a circle, so that none of these can be first: shop → shop"},
		{"each other", []string{"base"}, syncs{"shop/base": keptSync(on("shop")), "shop/shop": keptSync(on("base"))},
			"DependencyCycle: spec.dependsOn goes round in a circle, so that none of these can be first: shop → base → shop"},
		{"in a wider circle", []string{"base"}, syncs{"shop/base": keptSync(on("infra/deep")), "infra/deep": keptSync(on("shop/shop"))},
			"DependencyCycle: spec.dependsOn goes round in a circle, so that none of these can be first: shop → base → infra/deep → shop"},
		{"others that depend on each other", []string{"base"}, syncs{"shop/base": keptSync(on("a")), "shop/a": keptSync(on("b")), "shop/b": keptSync(on("a"))},
			"DependencyCycle: spec.dependsOn goes round in a circle, so that none of these can be first: a → b → a"},
		{"one by two ways is no circle", []string{"a", "b"}, syncs{"shop/a": keptSync(on("base")), "shop/b": keptSync(on("base")), "shop/base": keptSync()}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			known := map[types.NamespacedName]reached{}
			for name, s := range test.known {
				namespace, name, _ := strings.Cut(name, "/")
				known[types.NamespacedName{Namespace: namespace, Name: name}] = reached{Sync: s}
			}
			got := ""
			self := keptSync(on(test.on...), from("https://git/a", "main"))
			if err := dependencies(dependent{types.NamespacedName{Namespace: "shop", Name: "shop"}, self.Spec, "9f2c1e7000"}, known); err != nil {
				got = fmt.Sprintf("%s: %s", problemOf(err).Reason, err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

var base = types.NamespacedName{Namespace: "shop", Name: "base"}

// waiting is an agent that keeps release 1, and whose Sync waits for another with commit v2.
func waiting(t *testing.T) *agent {
	t.Helper()
	a := kept(t)
	a.spec.DependsOn = dependOn("base")
	a.syncs = map[types.NamespacedName]v1alpha1.Sync{base: keptSync(func(s *v1alpha1.Sync) { s.Status.Phase = v1alpha1.Applying })}
	a.pushGood()
	a.poll()
	return a
}

func TestANewReleaseWaitsForWhatItDependsOn(t *testing.T) {
	a := waiting(t)
	ready := a.ready()
	if ready.Reason != DependencyNotReady || !strings.HasPrefix(ready.Message, "waiting for Sync shop/base, which is Applying (release 1, commit v1, goes on running)") {
		t.Errorf("%+v", ready)
	}
	if diff := cmp.Diff(liveV1, a.inLive()); diff != "" {
		t.Error(diff)
	}
	t.Run("without building it again and again", func(t *testing.T) {
		from := len(a.calls)
		for range 20 {
			a.passAfter(time.Minute)
		}
		if asked := only(a.calls[from:], func(call string) bool { return asks(call) && call != "Head" || touches(call) }); len(asked) > 0 {
			t.Error(asked)
		}
	})
	t.Run("and tells what it waits for by now", func(t *testing.T) {
		a.syncs[base] = keptSync(func(s *v1alpha1.Sync) { s.Spec.Suspend = true })
		if a.pass(); !strings.Contains(a.ready().Message, "which is suspended") {
			t.Errorf("%+v", a.ready())
		}
	})
	t.Run("while drift of what runs is put right", func(t *testing.T) {
		delete(a.live, manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "vars"})
		a.drifted = true
		if diff := cmp.Diff([]string{"Apply ConfigMap/shop/vars"}, only(a.pass(), writes)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("also after a restart", func(t *testing.T) {
		a.restart()
		a.pass()
		if diff := cmp.Diff(liveV1, a.inLive()); diff != "" || a.ready().Reason != DependencyNotReady {
			t.Error(diff, a.ready())
		}
	})
	t.Run("and starts once that is kept", func(t *testing.T) {
		a.syncs[base] = keptSync()
		a.until("v2", manifests.Kept)
		if diff := cmp.Diff(liveV2, a.inLive()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("what is there already needs nobody", func(t *testing.T) {
		a.syncs = nil
		a.tree["same"], a.head = a.tree["v2"], "same"
		a.poll()
		if ready := a.ready(); ready.Reason != "Kept" {
			t.Errorf("%+v", ready)
		}
	})
}

// A Sync whose new spec is refused, or not come to, runs what the spec before had.
func TestASyncThatIsKeptAsAnEarlierSpecHasItIsNotReadyForOthers(t *testing.T) {
	for name, why := range map[string]fault{
		"refused":   {reason: "Invalid"},
		"undecided": {reason: "RegistryUnavailable", temporary: true},
	} {
		t.Run(name, func(t *testing.T) {
			other := kept(t)
			resource := func() v1alpha1.Sync {
				return v1alpha1.Sync{ObjectMeta: metav1.ObjectMeta{Generation: other.gen}, Spec: other.spec, Status: other.status}
			}
			if why := unready(resource(), true); why != "" {
				t.Fatalf("it %s", why)
			}
			other.gen, other.spec.Source.Path = 2, "other"
			other.refuse["Build"] = why
			other.poll()
			if got := unready(resource(), true); !strings.HasSuffix(got, "is not ready: "+why.reason) {
				t.Errorf("it %q, and is %s, %+v", got, other.status.Phase, other.ready())
			}
		})
	}
}

func TestANewerCommitIsLookedAtWhileAnotherWaits(t *testing.T) {
	a := waiting(t)
	a.push("v3", config("vars", "3"))
	a.refuse["Build"] = fault{reason: "Invalid"}
	a.poll()
	if ready := a.ready(); ready.Reason != "Invalid" {
		t.Errorf("%+v", ready)
	}
	a.syncs[base] = keptSync()
	a.pass()
	if ready := a.ready(); ready.Reason != "Invalid" {
		t.Errorf("%+v", ready)
	}
}

func TestARollbackDoesNotWaitForWhatItDependsOn(t *testing.T) {
	a := kept(t)
	a.spec.DependsOn = dependOn("base")
	a.syncs = map[types.NamespacedName]v1alpha1.Sync{base: keptSync()}
	a.pushBad()
	a.after = func(call string) {
		if call == "Store 2" {
			a.syncs = nil
		}
	}
	a.until("v2", manifests.RolledBack)
}

func TestACycleIsAnErrorUntilASpecChanges(t *testing.T) {
	a := waiting(t)
	self := types.NamespacedName{Namespace: "shop", Name: "shop"}
	a.syncs[base], a.syncs[self] = keptSync(on("shop")), keptSync(on("base"))
	for range 3 {
		a.passAfter(time.Second)
	}
	if ready := a.ready(); ready.Reason != DependencyCycle || !strings.Contains(ready.Message, "shop → base → shop") || a.out.Problem.Temporary {
		t.Errorf("%+v", ready)
	}
	from := len(a.calls)
	for range 20 {
		a.passAfter(time.Minute)
	}
	if asked := only(a.calls[from:], func(call string) bool { return asks(call) && call != "Head" }); len(asked) > 0 {
		t.Error(asked)
	}
	a.syncs[base] = keptSync()
	a.until("v2", manifests.Kept)
}

func TestADependencyOfTheSameRepositoryIsAskedToLookOnce(t *testing.T) {
	a := waiting(t)
	same := from(a.spec.Source.URL, "")
	a.syncs[base] = keptSync(same, at("v1"))
	for range 5 {
		a.passAfter(time.Second)
	}
	if ready := a.ready(); ready.Reason != DependencyNotReady || !strings.Contains(ready.Message, "has not looked at commit v2 yet") {
		t.Errorf("%+v", ready)
	}
	if asked := only(a.calls, func(call string) bool { return call == "AskToLook shop/base" }); len(asked) != 1 {
		t.Error(asked)
	}
	a.syncs[base] = keptSync(same, at("v2"))
	a.until("v2", manifests.Kept)
}
