package cluster

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/health"
)

// Branch is an object's health, and that of what is there on its behalf.
type Branch struct {
	Health manifests.Health
	// Outdated tells a ReplicaSet or pod of an earlier template than its workload's.
	Outdated bool
	// Unread tells an object that was not to be seen: nothing is known of it.
	Unread   bool
	Branches []Branch
}

// grower makes trees of objects that are there.
type grower struct {
	rules  health.Rules
	byID   map[manifests.ID]*unstructured.Unstructured
	behind map[types.UID][]*unstructured.Unstructured // by their controller
}

// grow makes a tree for each of ids of what is there.
func grow(ids []manifests.ID, live []*unstructured.Unstructured, rules health.Rules) []Branch {
	g := grower{rules: rules, byID: map[manifests.ID]*unstructured.Unstructured{}, behind: map[types.UID][]*unstructured.Unstructured{}}
	for _, u := range live {
		g.byID[idOf(u)] = u
		if owner := metav1.GetControllerOfNoCopy(u); owner != nil {
			g.behind[owner.UID] = append(g.behind[owner.UID], u)
		}
	}
	branches := make([]Branch, len(ids))
	for i, id := range ids {
		if u := g.byID[id]; u != nil {
			branches[i] = g.branch(u, nil)
			continue
		}
		branches[i].Health = manifests.Health{ID: id, Condition: manifests.Missing, Reason: "NotFound", Message: "it is not in the cluster"}
	}
	return branches
}

// branch is an object with what is behind it. Root is the workload whose revision counts; nil where there is none above.
func (g grower) branch(u *unstructured.Unstructured, root *revision) Branch {
	b := Branch{Health: g.health(u), Outdated: root != nil && root.outdates(u)}
	b.Health.ID = idOf(u)
	children := g.behind[u.GetUID()]
	if w, ok := workloadOf(u); ok && root == nil {
		root = &revision{workload: w, pods: podsOf{newest: newestOf(records(children), u), memory: newPodMemory()}}
		b.Health = g.closer(*root, b.Health)
	}
	for _, child := range children {
		branch := g.branch(child, root)
		if idle := b.isIdle(child, branch); !idle {
			b.Branches = append(b.Branches, branch)
		}
	}
	slices.SortFunc(b.Branches, Branch.compare)
	return b
}

// isIdle tells an old ReplicaSet that a Deployment keeps without pods.
func (b Branch) isIdle(child *unstructured.Unstructured, branch Branch) bool {
	wanted, _, _ := unstructured.NestedInt64(child.Object, "spec", "replicas")
	return branch.Outdated && branch.Health.ID.GroupKind() == bareReplicaSet && wanted == 0 && len(branch.Branches) == 0
}

// compare has what is current come first.
func (b Branch) compare(other Branch) int {
	age := func(b Branch) int {
		if b.Outdated {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(age(b), age(other)), b.Health.ID.Compare(other.Health.ID))
}

func (g grower) health(u *unstructured.Unstructured) manifests.Health {
	if u.GroupVersionKind().GroupKind() != pod || u.GetDeletionTimestamp() != nil {
		return health.Of(u, g.rules)
	}
	var p corev1.Pod
	if err := fromMap(u.Object, &p); err != nil {
		return health.Of(u, g.rules)
	}
	return podHealth(sight{pod: &p}).Health
}

// closer is what is said of a workload with its pods, as they are now: nothing is known of how they were before.
func (g grower) closer(r revision, report manifests.Health) manifests.Health {
	if report.Condition == manifests.Unhealthy || !r.workload.isObserved() || r.workload.kind == pod {
		return report
	}
	now := time.Now()
	r.pods.pods = g.podsBehind(r.workload.object, generations)
	for _, p := range r.pods.pods {
		r.pods.memory.note(p, now)
	}
	found := r.workload.findings(r.pods, false, now)
	for _, f := range found {
		if f.Condition == manifests.Unhealthy {
			f.ID = report.ID
			return f.Health
		}
	}
	return waitingFor(report, found)
}

func (g grower) podsBehind(u *unstructured.Unstructured, depth int) (pods []*corev1.Pod) {
	for _, child := range g.behind[u.GetUID()] {
		p := &corev1.Pod{}
		switch {
		case child.GroupVersionKind().GroupKind() == pod:
			if fromMap(child.Object, p) == nil {
				pods = append(pods, p)
			}
		case depth > 0:
			pods = append(pods, g.podsBehind(child, depth-1)...)
		}
	}
	return pods
}

func records(objects []*unstructured.Unstructured) []metav1.PartialObjectMetadata {
	found := make([]metav1.PartialObjectMetadata, len(objects))
	for i, u := range objects {
		found[i] = *meta.AsPartialObjectMetadata(u)
	}
	return found
}

// revision is a workload's newest template.
type revision struct {
	workload workload
	pods     podsOf
}

// outdates tells whether a ReplicaSet or a pod is of an earlier one.
func (r revision) outdates(u *unstructured.Unstructured) bool {
	if r.workload.kind == deployment && r.pods.newest.hash == "" {
		return false // its controller is about to say
	}
	p := &corev1.Pod{}
	p.Labels, p.Annotations = u.GetLabels(), u.GetAnnotations()
	return !r.workload.isCurrent(p, r.pods)
}
