package cluster

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

var (
	customResourceDefinition = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
	apiService               = schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"}
	namespaceKind            = schema.GroupKind{Kind: "Namespace"}
)

// Place gives every namespaced object the Sync's target namespace or, without one, the Sync's own where the
// manifest names none; it takes the namespace from cluster-scoped objects. A kind that the cluster does not know
// has to come with a CRD, or an APIService, in the same set. Annotations of belay's that mean nothing are refused, and so is
// every release while the Sync's health expressions are wrong: it could not be judged.
func (o *Objects) Place(ctx context.Context, objects manifests.Set) (manifests.Set, error) {
	if o.unruled != nil {
		return manifests.Set{}, o.unruled
	}
	brought, served := definitions(objects), servedGroups(objects)
	namespaced := map[schema.GroupKind]bool{}
	var errs []error
	for _, object := range objects.Objects() {
		if err := object.CheckPolicy(); err != nil {
			errs = append(errs, &Error{Reason: "Invalid", Object: object.String(), Detail: err.Error()})
		}
		kind := object.ID().GroupKind()
		if scope, ok := brought[kind]; ok {
			namespaced[kind] = scope == "Namespaced"
			continue
		}
		mapping, err := o.mapping(object)
		if err != nil && served[kind.Group] {
			// Nobody can say yet. One that is to have a namespace, and names none, is refused when it can be written.
			namespaced[kind] = namespaced[kind] || object.ID().Namespace != ""
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		namespaced[kind] = mapping.Scope.Name() == meta.RESTScopeNameNamespace
	}
	if err := all(errs); err != nil {
		return manifests.Set{}, err
	}
	placed, err := objects.InNamespaces(func(id manifests.ID) string {
		switch {
		case !namespaced[id.GroupKind()]:
			return ""
		case o.namespace != "":
			return o.namespace
		case id.Namespace == "":
			return o.sync.Namespace
		}
		return id.Namespace
	})
	if err != nil {
		return manifests.Set{}, &Error{Reason: "DuplicateObject", Detail: err.Error()}
	}
	return placed, o.wants(ctx, placed)
}

// servedGroups is the API groups that APIServices in the set lead to: what kinds they have is known once they answer.
func servedGroups(objects manifests.Set) map[string]bool {
	groups := map[string]bool{}
	for _, object := range objects.Objects() {
		if id := object.ID(); id.GroupKind() == apiService {
			_, group, _ := strings.Cut(id.Name, ".")
			groups[group] = true
		}
	}
	return groups
}

// definitions is the kinds that CRDs in the set bring, each with its scope.
func definitions(objects manifests.Set) map[schema.GroupKind]string {
	kinds := map[schema.GroupKind]string{}
	for _, object := range objects.Objects() {
		if object.ID().GroupKind() != customResourceDefinition {
			continue
		}
		group, _ := object.Field("spec", "group").(string)
		kind, _ := object.Field("spec", "names", "kind").(string)
		scope, _ := object.Field("spec", "scope").(string)
		kinds[schema.GroupKind{Group: group, Kind: kind}] = scope
	}
	return kinds
}
