package manifests

// WithoutAggregatedRules is the set with no rules in ClusterRoles that have an aggregationRule: those are for the controller
// that aggregates them, which overwrites whatever is there
// (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles).
func (s Set) WithoutAggregatedRules() (Set, error) {
	return s.each(func(o Object) (Object, error) {
		isRole := o.id.Group == "rbac.authorization.k8s.io" && o.id.Kind == "ClusterRole"
		if _, has := o.content.Object["rules"]; !has || !isRole || o.content.Object["aggregationRule"] == nil {
			return o, nil
		}
		without, content := o.copied()
		delete(content, "rules")
		return without, nil
	})
}
