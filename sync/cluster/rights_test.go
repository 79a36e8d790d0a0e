package cluster

// Fault "Apply": where RBAC forbids something, the missing rule is printed.

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestTheMissingRuleCanBePasted(t *testing.T) {
	forbidden := func(text string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "x"}, "", errors.New(text))
	}
	for _, test := range []struct{ name, text, want string }{
		{"of the core group", `User "u" cannot list resource "configmaps" in API group "" in the namespace "shop"`,
			`a Role of shop: {apiGroups: [""], resources: [configmaps], verbs: [get, list, patch, create, delete]}`},
		{"at the cluster's scope", `User "u" cannot patch resource "clusterroles" in API group "rbac.authorization.k8s.io" at the cluster scope`,
			`a ClusterRole: {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [get, list, patch, create, delete]}`},
		{"of another verb", `User "u" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "shop"`,
			`a Role of shop: {apiGroups: [""], resources: [serviceaccounts], verbs: [get, list, patch, create, delete, impersonate]}`},
		{"of no right at all", `exceeded quota: small`, ``},
	} {
		if got := missingRule(forbidden(test.text)); got != test.want {
			t.Errorf("%s: got %s", test.name, got)
		}
	}
	if got := missingRule(errors.New(`cannot list resource "configmaps" in API group ""`)); got != "" {
		t.Errorf("an error that is no refusal: got %s", got)
	}
}
