// Package health tells how an object is from what it says of itself, and from nothing else: what it does not know is
// what the pods behind a workload are like, and what became of the release.
//
// There are three sources, the first that has something to say wins: expressions that people write for their own kinds
// ([Rules]), the table of the kinds that many run (table/, CEL in one YAML file for each API group, with cases), and
// the conventions that hold for all others (general.go), among them kstatus's. Kubernetes' own kinds have code
// (kinds.go).
//
// No object makes it fail: what is of another type than the conventions have it is read as what it looks like, or
// passed over.
package health

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// Of tells how an object is. Of the result it sets all but the ID and Since.
func Of(u *unstructured.Unstructured, own Rules) manifests.Health {
	if u.GetDeletionTimestamp() != nil {
		return manifests.Health{Condition: manifests.Progressing, Reason: "Terminating", Message: "it is being deleted"}
	}
	if rules, ok := own.of(u); ok {
		return rules.judge(u)
	}
	if check, ok := kinds[u.GroupVersionKind().GroupKind()]; ok {
		return check(u)
	}
	if rules, ok := tabled(u.GroupVersionKind().GroupKind()); ok {
		return rules.judge(u)
	}
	return general(u)
}
