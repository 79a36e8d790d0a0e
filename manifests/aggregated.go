package manifests

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// WithoutAggregatedRules is the set with no rules in ClusterRoles that have an aggregationRule: those are for the controller
// that aggregates them, which overwrites whatever is there
// (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles).
func (s Set) WithoutAggregatedRules() (Set, error) {
	return s.Map(func(u *unstructured.Unstructured) error {
		kind := u.GroupVersionKind()
		if kind.Group == "rbac.authorization.k8s.io" && kind.Kind == "ClusterRole" && u.Object["aggregationRule"] != nil {
			delete(u.Object, "rules")
		}
		return nil
	})
}
