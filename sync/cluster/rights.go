package cluster

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// lacking is how the API server says which right somebody has not.
var lacking = regexp.MustCompile(`cannot (\S+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?`)

// needed are the verbs that belay uses on the objects it looks after.
var needed = []string{"get", "list", "patch", "create", "delete"}

// missingRule is the rule that lets a refused request through, as it can be pasted: `a Role of shop: {apiGroups: [""],
// resources: [configmaps], verbs: [get, list, patch, create, delete]}`. It is empty for other errors.
func missingRule(err error) string {
	found := lacking.FindStringSubmatch(err.Error())
	if !apierrors.IsForbidden(err) || found == nil {
		return ""
	}
	verb, resource, group, namespace := found[1], found[2], found[3], found[4]
	verbs := needed
	if !slices.Contains(verbs, verb) {
		verbs = append(slices.Clone(verbs), verb)
	}
	role := "a ClusterRole"
	if namespace != "" {
		role = "a Role of " + namespace
	}
	return fmt.Sprintf("%s: {apiGroups: [%s], resources: [%s], verbs: [%s]}",
		role, cmp.Or(group, `""`), resource, strings.Join(verbs, ", "))
}
