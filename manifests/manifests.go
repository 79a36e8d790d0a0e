// Package manifests holds the nouns that the rest of belay speaks of: an object's [ID], a [Set] of objects, the
// [Pins] of their images, a [Release] and an object's [Health]. They are values: no function here changes what it
// is given, and none knows Git, a registry or an API server.
package manifests

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Labels and annotations that belay writes on objects or reads from them.
const (
	// LabelSync and LabelNamespace name the Sync that owns an object.
	LabelSync      = "belay.dev/sync"
	LabelNamespace = "belay.dev/namespace"

	// AnnotationImages keeps, on the owner of a pod template, the images that were pinned as Git has them: a JSON object
	// from [Image.Container] to image.
	AnnotationImages = "belay.dev/images"
	// AnnotationTemplate marks the pod template of a workload whose controller never replaces running pods
	// (ReplicationController, bare ReplicaSet), so that the pods of an older template can be told apart.
	AnnotationTemplate = "belay.dev/template"
	// AnnotationPrune set to "disabled" keeps an object in the cluster after it has left Git; set to "enabled"
	// it allows that for the kinds that are otherwise never pruned.
	AnnotationPrune = "belay.dev/prune"
	// AnnotationResolve set to "disabled" leaves an object's images as they are written.
	AnnotationResolve = "belay.dev/resolve"
	// AnnotationReconcile set to "disabled", in Git or on the object in the cluster, has belay leave an object alone:
	// it is neither written nor deleted.
	AnnotationReconcile = "belay.dev/reconcile"
	// AnnotationSSA set to "IfNotPresent" has an object created and never changed; "Ignore" leaves it alone.
	AnnotationSSA = "belay.dev/ssa"
	// AnnotationForce set to "enabled" allows an object to be deleted and made anew when a field that cannot be changed
	// is to change, and for that cause only.
	AnnotationForce = "belay.dev/force"
	// AnnotationWave is a number, 0 where there is none: objects of a lower wave are written first.
	AnnotationWave = "belay.dev/wave"
	// AnnotationHook makes a hook of a Job: it is run for each release anew, "before" anything else is written or "after" all
	// is healthy, and its failure refuses the release.
	AnnotationHook = "belay.dev/hook"
	// AnnotationHookOnRollback set to "enabled" has a hook run for a rollback, too.
	AnnotationHookOnRollback = "belay.dev/hook-on-rollback"
	// AnnotationRun says on the Job of a hook, in the cluster alone, what it was made for: the release's number, or that and
	// "-rollback-to-" and the number of the release that was gone back to.
	AnnotationRun = "belay.dev/run"
)

// ID names an object in a cluster, whatever version it is read in.
type ID struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"` // empty for cluster-scoped objects
	Name      string `json:"name"`
}

// String is how messages name an object: "Deployment/shop/cart", or "Namespace/shop" where there is no namespace.
func (id ID) String() string {
	if id.Namespace == "" {
		return id.Kind + "/" + id.Name
	}
	return id.Kind + "/" + id.Namespace + "/" + id.Name
}

// GroupKind is the object's kind without its version.
func (id ID) GroupKind() schema.GroupKind {
	return schema.GroupKind{Group: id.Group, Kind: id.Kind}
}

// Compare orders IDs by group, kind, namespace and name.
func (id ID) Compare(other ID) int {
	return cmp.Or(
		cmp.Compare(id.Group, other.Group),
		cmp.Compare(id.Kind, other.Kind),
		cmp.Compare(id.Namespace, other.Namespace),
		cmp.Compare(id.Name, other.Name),
	)
}

// Union is the sorted set of all IDs in lists.
func Union(lists ...[]ID) []ID {
	all := slices.Concat(lists...)
	slices.SortFunc(all, ID.Compare)
	return slices.Compact(all)
}

// Index is a list's IDs, to look one up.
func Index(list []ID) map[ID]bool {
	index := make(map[ID]bool, len(list))
	for _, id := range list {
		index[id] = true
	}
	return index
}

// Without is list, in its order, less the IDs in other.
func Without(list, other []ID) []ID {
	if len(other) == 0 {
		return slices.Clone(list)
	}
	drop := Index(other)
	return slices.DeleteFunc(slices.Clone(list), func(id ID) bool { return drop[id] })
}

// Names lists at most limit IDs for a message: "Service/shop/cart, ConfigMap/shop/cart and 3 more".
func Names(ids []ID, limit int) string {
	shown := make([]string, 0, limit)
	for _, id := range ids[:min(limit, len(ids))] {
		shown = append(shown, id.String())
	}
	text := strings.Join(shown, ", ")
	if rest := len(ids) - len(shown); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}
