package sync

import (
	"maps"
	"math"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

// Plan is what is written, wave after wave, and what is deleted once the release has proved healthy.
type Plan struct {
	Waves []Wave
	Prune []manifests.ID
}

// Wave is the objects of one belay.dev/wave, written tier after tier.
type Wave struct {
	Number int
	Tiers  [][]manifests.Object
}

// plan orders the objects that differ and finds what has left: what this Sync owned and the release no longer
// has.
func plan(release manifests.Release, differing []manifests.Object) Plan {
	waves := map[int][][]manifests.Object{}
	served := servedBy(release.Objects.IDs())
	for _, o := range differing {
		number, t := o.Wave(), served.tier(o.ID().GroupKind())
		if waves[number] == nil {
			waves[number] = make([][]manifests.Object, lastTier+1)
		}
		waves[number][t] = append(waves[number][t], o)
	}
	p := Plan{Prune: manifests.Without(release.Owned, release.Objects.IDs())}
	for _, number := range slices.Sorted(maps.Keys(waves)) {
		tiers := slices.DeleteFunc(waves[number], func(objects []manifests.Object) bool { return len(objects) == 0 })
		p.Waves = append(p.Waves, Wave{Number: number, Tiers: tiers})
	}
	return p
}

// firstWave is the lowest that an object of a set has.
func firstWave(objects manifests.Set) int {
	first := math.MaxInt
	for _, o := range objects.Objects() {
		first = min(first, o.Wave())
	}
	return first
}

// The tiers in which objects are written. Within one the order does not matter.
const (
	definitionTier = iota // what others are made of: namespaces, CRDs, classes
	configTier            // what workloads need at their start: accounts, rights, configuration, volumes, services
	bindingTier           // what binds rights that are in the tier before: the API server looks them up
	workloadTier          // everything else of Kubernetes' own
	customTier            // what the workloads before it look after: their finalizers need somebody to take them off
	admissionTier         // what would refuse the objects before it if its backend is not up yet
	servedTier            // what only an API server can take that an APIService before leads to
	lastTier       = servedTier
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
	apiService: admissionTier,
}

// kubernetes are the API groups of Kubernetes itself. The kinds of all others are made by CRDs or other API servers.
var kubernetes = map[string]bool{
	"": true, "admissionregistration.k8s.io": true, "apiextensions.k8s.io": true, "apiregistration.k8s.io": true, "apps": true,
	"autoscaling": true, "batch": true, "certificates.k8s.io": true, "coordination.k8s.io": true, "discovery.k8s.io": true,
	"events.k8s.io": true, "flowcontrol.apiserver.k8s.io": true, "networking.k8s.io": true, "node.k8s.io": true, "policy": true,
	"rbac.authorization.k8s.io": true, "resource.k8s.io": true, "scheduling.k8s.io": true, "storage.k8s.io": true,
	"storagemigration.k8s.io": true,
}

// served is API groups, with objects of theirs to write, that APIServices among the same objects lead to.
type served map[string]bool

// servedBy reads them off the names of APIServices, which are "version.group".
func servedBy(ids []manifests.ID) served {
	groups := served{}
	for _, id := range ids {
		if id.GroupKind() == apiService {
			_, group, _ := strings.Cut(id.Name, ".")
			groups[group] = true
		}
	}
	return groups
}

var apiService = schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"}

func (s served) tier(kind schema.GroupKind) int {
	if s[kind.Group] && !kubernetes[kind.Group] {
		return servedTier
	}
	return tier(kind)
}

func tier(kind schema.GroupKind) int {
	if t, ok := tiers[kind]; ok {
		return t
	}
	if !kubernetes[kind.Group] {
		return customTier
	}
	return workloadTier
}

// undoing orders IDs for deletion, tier after tier: the last one first.
func undoing(ids []manifests.ID) [][]manifests.ID {
	byTier := make([][]manifests.ID, lastTier+1)
	served := servedBy(ids)
	for _, id := range ids {
		t := lastTier - served.tier(id.GroupKind())
		byTier[t] = append(byTier[t], id)
	}
	return slices.DeleteFunc(byTier, func(ids []manifests.ID) bool { return len(ids) == 0 })
}
