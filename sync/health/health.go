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
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// Of tells how an object is. Of the result it sets all but the ID, Since and Again. Reason and Message are at most 64 and
// 512 characters, without control characters: they are of whoever wrote the status.
func Of(u *unstructured.Unstructured, own Rules) manifests.Health {
	verdict := judge(u, own)
	verdict.Reason, verdict.Message = inOneLine(verdict.Reason, longestReason), inOneLine(verdict.Message, longestMessage)
	return verdict
}

func judge(u *unstructured.Unstructured, own Rules) manifests.Health {
	if u.GetDeletionTimestamp() != nil {
		return progressing("Terminating", "it is being deleted")
	}
	if rules, ok := own.of(u); ok {
		return rules.judge(u)
	}
	if check, ok := kinds[u.GroupVersionKind().GroupKind()]; ok {
		return check(u)
	}
	if rules, ok := tabled(u.GroupVersionKind().GroupKind()); ok {
		return unanswered(u, rules.judge(u))
	}
	return general(u)
}

const (
	longestReason  = 64  // characters
	longestMessage = 512 // characters
)

// inOneLine makes a text of somebody else fit for a line of at most so many characters: what cannot be shown becomes a
// space, and spaces become one.
func inOneLine(text string, most int) string {
	if len(text) > 16*most {
		text = text[:16*most]
	}
	fields := strings.FieldsFunc(strings.ToValidUTF8(text, " "), func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' })
	runes := []rune(strings.Join(fields, " "))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

// unanswered marks the verdict on an object that is on its way as far as its kind's rules go, and of which no controller
// has said anything: there may be none.
func unanswered(u *unstructured.Unstructured, verdict manifests.Health) manifests.Health {
	if verdict.Condition != manifests.Progressing || verdict.Reason != "" {
		return verdict
	}
	status, _ := u.Object["status"].(map[string]any)
	for field, value := range status {
		// Some CRDs have -1 there from the beginning.
		if observed, isNumber := asNumber(value); field != "observedGeneration" || !isNumber || observed > 0 {
			return verdict
		}
	}
	verdict.Reason, verdict.Message = manifests.ReasonNoStatus, "its controller has not given it a status yet"
	return verdict
}
