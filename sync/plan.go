package sync

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

// Plan is what is written, tier after tier, and what is deleted once the release has proved healthy.
type Plan struct {
	Tiers [][]manifests.Object
	Prune []manifests.ID
}

// plan orders the objects that differ and finds what has left: what this Sync owned and the release no longer
// has.
func plan(release manifests.Release, differing []manifests.Object) Plan {
	byTier := make([][]manifests.Object, lastTier+1)
	for _, o := range differing {
		t := tier(o.ID().GroupKind())
		byTier[t] = append(byTier[t], o)
	}
	return Plan{
		Tiers: slices.DeleteFunc(byTier, func(objects []manifests.Object) bool { return len(objects) == 0 }),
		Prune: manifests.Without(release.Owned, release.Objects.IDs()),
	}
}

// The tiers in which objects are written. Within one the order does not matter.
const (
	definitionTier = iota // what others are made of: namespaces, CRDs, classes
	configTier            // what workloads need at their start: accounts, rights, configuration, volumes, services
	bindingTier           // what binds rights that are in the tier before: the API server looks them up
	workloadTier          // everything else
	admissionTier         // what would refuse the objects before it if its backend is not up yet
	lastTier       = admissionTier
)

var tiers = map[schema.GroupKind]int{
	{Kind: "Namespace"}: definitionTier,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: definitionTier,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                   definitionTier,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:               definitionTier,
	{Group: "node.k8s.io", Kind: "RuntimeClass"}:                      definitionTier,
	{Group: "networking.k8s.io", Kind: "IngressClass"}:                definitionTier,

	{Kind: "ServiceAccount"}:        configTier,
	{Kind: "Secret"}:                configTier,
	{Kind: "ConfigMap"}:             configTier,
	{Kind: "Service"}:               configTier,
	{Kind: "PersistentVolume"}:      configTier,
	{Kind: "PersistentVolumeClaim"}: configTier,
	{Kind: "ResourceQuota"}:         configTier,
	{Kind: "LimitRange"}:            configTier,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:        configTier,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: bindingTier,
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:               configTier,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:        bindingTier,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:              configTier,
	{Group: "policy", Kind: "PodDisruptionBudget"}:                   configTier,

	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}:   admissionTier,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:     admissionTier,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding"}: admissionTier,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicyBinding"}:   admissionTier,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:                             admissionTier,
}

func tier(kind schema.GroupKind) int {
	if t, ok := tiers[kind]; ok {
		return t
	}
	return workloadTier
}

// undoing orders IDs for deletion: the last tier first.
func undoing(ids []manifests.ID) []manifests.ID {
	ordered := slices.Clone(ids)
	slices.SortStableFunc(ordered, func(a, b manifests.ID) int {
		return tier(b.GroupKind()) - tier(a.GroupKind())
	})
	return ordered
}
