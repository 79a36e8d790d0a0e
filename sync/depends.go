package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// The reasons for which a release does not start although nothing is wrong with it.
const (
	DependencyNotReady = "DependencyNotReady"
	DependencyCycle    = "DependencyCycle"
)

// dependencyWait says why a release has to wait for other Syncs. A change of theirs calls this one.
type dependencyWait struct {
	reason, message string
	unseen          types.NamespacedName // the Sync that has to look at its repository first, if that is it
}

// reached is a Sync that others depend on.
type reached struct {
	v1alpha1.Sync
	from, to string // what was passed over, see [Cluster]
}

// sees tells that a Sync has drawn its conclusions from a commit of its ref.
func (r reached) sees(commit string) bool {
	wanted := r.Status.Wanted
	return wanted != nil && (wanted.Commit == commit || r.to == commit && r.from == wanted.Commit)
}

// dependent is a Sync that depends on others, and the commit that it is to start a release of.
type dependent struct {
	name   types.NamespacedName
	spec   v1alpha1.Spec
	commit string // where its ref is
}

func (d dependencyWait) Error() string { return d.message }

// Describe implements selfDescribing: nothing is tried again by the clock, and a cycle stays until somebody changes a spec.
func (d dependencyWait) Describe() (string, bool, time.Duration) {
	const never = 10 * 365 * 24 * time.Hour
	return d.reason, d.reason == DependencyNotReady, never
}

// dependencies tells whether a new release of a Sync may start: nil if each Sync that it depends on is kept, as its present
// spec and its newest commit have it. One that follows the same ref of the same repository has to have seen the same commit,
// though that may have changed nothing for it: what came with one push goes in order. Known is all Syncs that can be reached from it, by their names.
func dependencies(self dependent, known map[types.NamespacedName]reached) error {
	if cycle := cycleOf(self.name, self.spec.DependsOn, known); cycle != nil {
		return dependencyWait{reason: DependencyCycle, message: fmt.Sprintf(
			"spec.dependsOn goes round in a circle, so that none of these can be first: %s", tellPath(self.name, cycle))}
	}
	for _, name := range namesOf(self.name, self.spec.DependsOn) {
		other, there := known[name]
		if why := unready(other.Sync, there); why != "" {
			return dependencyWait{reason: DependencyNotReady, message: fmt.Sprintf("waiting for Sync %s, which %s", name, why)}
		}
		if follows(self.spec.Source, other.Spec.Source) && !other.sees(self.commit) {
			return dependencyWait{DependencyNotReady, fmt.Sprintf("waiting for Sync %s, which has not looked at commit %s yet", name, short(self.commit)), name}
		}
	}
	return nil
}

// follows tells whether two Syncs follow the same ref of the same repository.
func follows(a, b v1alpha1.Source) bool {
	url := func(s v1alpha1.Source) string { return strings.TrimSuffix(strings.TrimSuffix(s.URL, "/"), ".git") }
	return url(a) == url(b) && a.Ref == b.Ref
}

// unready says what keeps a Sync from being what others can build upon; "" if nothing does.
func unready(s v1alpha1.Sync, there bool) string {
	status := s.Status
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.Ready)
	switch {
	case !there:
		return "is not there"
	case s.DeletionTimestamp != nil:
		return "is being deleted"
	case s.Spec.Suspend:
		return "is suspended"
	case status.ObservedGeneration != s.Generation:
		return "has not come to its newest spec yet"
	case status.Held != nil:
		return fmt.Sprintf("holds commit %s: %s", short(status.Held.Commit), status.Held.Reason)
	case status.Phase != v1alpha1.Kept:
		return fmt.Sprintf("is %s", orPending(status.Phase))
	case status.Wanted == nil || status.Deployed == nil:
		return "has nothing deployed"
	case status.Wanted.Commit != status.Deployed.Commit:
		return fmt.Sprintf("has commit %s to deploy first", short(status.Wanted.Commit))
	case ready != nil && ready.Status == metav1.ConditionFalse: // as where its newest spec is refused, or cannot be tried
		return "is not ready: " + ready.Reason
	}
	return ""
}

func orPending(phase v1alpha1.Phase) v1alpha1.Phase {
	if phase == "" {
		return v1alpha1.Pending
	}
	return phase
}

// namesOf is the full names of dependencies, whose namespace is their Sync's where they name none.
func namesOf(self types.NamespacedName, on []v1alpha1.Dependency) []types.NamespacedName {
	names := make([]types.NamespacedName, len(on))
	for i, d := range on {
		names[i] = d.FullName(self.Namespace)
	}
	return names
}

// cycleOf is a way from a Sync by what it depends on, and what that depends on, back to itself or to one on that way; nil if
// there is none.
func cycleOf(self types.NamespacedName, on []v1alpha1.Dependency, known map[types.NamespacedName]reached) []types.NamespacedName {
	clear := map[types.NamespacedName]bool{} // no cycle can be reached from it
	var visit func(path []types.NamespacedName, on []v1alpha1.Dependency) []types.NamespacedName
	visit = func(path []types.NamespacedName, on []v1alpha1.Dependency) []types.NamespacedName {
		at := path[len(path)-1]
		for _, next := range namesOf(at, on) {
			if slices.Contains(path, next) {
				return append(path[slices.Index(path, next):], next)
			}
			if clear[next] {
				continue
			}
			if cycle := visit(append(slices.Clone(path), next), known[next].Spec.DependsOn); cycle != nil {
				return cycle
			}
		}
		clear[at] = true
		return nil
	}
	return visit([]types.NamespacedName{self}, on)
}

// tellPath names Syncs for people: "a → b → a", with their namespaces where they are not the reader's.
func tellPath(self types.NamespacedName, path []types.NamespacedName) string {
	var words []string
	for _, name := range path {
		if name.Namespace == self.Namespace {
			words = append(words, name.Name)
		} else {
			words = append(words, name.String())
		}
	}
	return strings.Join(words, " → ")
}

// depend tells whether a new release may start.
func (s *Syncer) depend(ctx context.Context, want Want) error {
	on := want.Spec.DependsOn
	s.memory.waits = ""
	if len(on) == 0 {
		return nil
	}
	syncs, err := s.Cluster.Reachable(ctx, on)
	if err != nil {
		return err
	}
	known := map[types.NamespacedName]reached{}
	for name, sync := range syncs {
		known[name] = reached{Sync: sync}
	}
	for _, name := range namesOf(types.NamespacedName{Namespace: s.Namespace}, on) {
		if other, there := known[name]; there {
			other.from, other.to = s.Cluster.PassedOver(name)
			known[name] = other
		}
	}
	self := dependent{types.NamespacedName{Namespace: s.Namespace, Name: s.Name}, want.Spec, s.memory.latest}
	if err = dependencies(self, known); err == nil {
		return nil
	}
	s.memory.waits = err.Error()
	if wait := (dependencyWait{}); errors.As(err, &wait) && wait.unseen.Name != "" && s.memory.asked != s.memory.waits {
		s.memory.asked = s.memory.waits // once
		s.Cluster.AskToLook(wait.unseen)
	}
	return err
}

// awake has a release that waits for other Syncs built again once it need not any more; what it waits for is told anew.
func (s *Syncer) awake(ctx context.Context, want Want) {
	before := s.memory.waits
	if before == "" {
		return
	}
	err := s.depend(ctx, want)
	if err == nil {
		s.memory.built, s.memory.building = input{}, failures{}
		return
	}
	problem := problemOf(err)
	switch last := s.memory.building.last; {
	case s.memory.waits == "": // it could not be found out
		s.memory.waits = before
	case before == s.memory.waits:
	case last != nil && problem.Temporary:
		s.memory.building.last = &problem
	default: // from a wait to a cycle, or back
		s.memory.built, s.memory.building = input{}, failures{}
	}
}
