package health

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// unseen is the verdict on an object whose status is of an older generation.
var unseen = manifests.Health{Condition: manifests.Progressing, Message: "its controller has not seen the change yet"}

// behind tells whether an object's status is of an older generation.
func behind(u *unstructured.Unstructured) bool {
	observed, ok := asNumber(fieldOf(u.Object, "status.observedGeneration"))
	return ok && observed < u.GetGeneration()
}

// readyBefore tells whether an object's condition Ready is of an older generation.
func readyBefore(u *unstructured.Unstructured) bool {
	observed, ok := asNumber(conditionOf(u.Object, "Ready")["observedGeneration"])
	return ok && observed < u.GetGeneration()
}

// sign is one thing that a status says.
type sign struct {
	manifests.Health
	// weak is what an object that says of itself that it is Ready is not judged by.
	weak bool
}

// signs are all that a status says.
type signs struct {
	list  []sign
	ready bool // it says of itself that it is Ready
}

func (s *signs) add(verdict manifests.Health, weak bool) {
	s.list = append(s.list, sign{verdict, weak})
}

// general is what the conventions for status say of an object: those of kstatus
// (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md: observedGeneration, Reconciling,
// Stalled, Ready) and of Kubernetes' API conventions for conditions, and then the words that people use (words.go). The
// worst of what a status says decides; an object that says that it is Ready is not doubted for less than a failure.
// A status that says nothing is taken for good, as kstatus has it, and so is none.
func general(u *unstructured.Unstructured) manifests.Health {
	if field, ok := askedToStop(u); ok {
		return manifests.Health{Condition: manifests.Suspended, Reason: "Suspended", Message: "spec." + field + " is set"}
	}
	if behind(u) {
		return unseen
	}
	found := conditionSigns(u)
	found.list = append(found.list, stateSigns(u)...)
	found.list = append(found.list, flagSigns(u)...)
	found.list = append(found.list, countSigns(u)...)
	if len(found.list) == 0 && isBlank(u) {
		return manifests.Health{Condition: manifests.Progressing, Message: "its status says nothing yet"}
	}
	found.list = append(found.list, troubleSigns(u, len(found.list) > 0)...)
	return found.worst()
}

// worst is what decides: of the worst condition, the first sign.
func (s signs) worst() manifests.Health {
	for _, condition := range []manifests.Condition{
		manifests.Unhealthy, manifests.Suspended, manifests.Progressing, manifests.Missing, manifests.Unknown,
	} {
		for _, sign := range s.list {
			if sign.Condition == condition && !(s.ready && sign.weak) {
				return sign.Health
			}
		}
	}
	return manifests.Health{Condition: manifests.Healthy}
}

// askedToStop tells with which field of its spec an object is asked to stand still.
func askedToStop(u *unstructured.Unstructured) (field string, ok bool) {
	for _, field := range askedFor {
		if yes, known := asTruth(fieldOf(u.Object, "spec."+field)); known && yes {
			return field, true
		}
	}
	return "", false
}

// stateFields are where a status has one word for how the object is.
var stateFields = []string{"phase", "state", "currentState", "status", "health", "health.status", "healthStatus"}

// stateSigns are what the words for the whole object say.
func stateSigns(u *unstructured.Unstructured) (found []sign) {
	for _, field := range stateFields {
		text, _ := fieldOf(u.Object, "status."+field).(string)
		verdict := stateOf(text)
		if verdict == "" {
			continue
		}
		weak := verdict != manifests.Unhealthy && verdict != manifests.Suspended
		found = append(found, sign{told(u, manifests.Health{Condition: verdict, Reason: wordFor(text)}), weak})
		if last := &found[len(found)-1]; last.Message == "" && verdict != manifests.Healthy {
			last.Message = fmt.Sprintf("status.%s is %s", field, text)
		}
	}
	return found
}

// wordFor is a state as a reason; empty where it is a sentence.
func wordFor(state string) string {
	if strings.ContainsAny(state, " \t\n") {
		return ""
	}
	return state
}

// flagSigns are what the truths at the top of a status say: "ready: false".
func flagSigns(u *unstructured.Unstructured) (found []sign) {
	for _, field := range []string{"ready", "readyToUse", "healthy", "available"} {
		switch yes, ok := asTruth(fieldOf(u.Object, "status."+field)); {
		case ok && yes:
			found = append(found, sign{manifests.Health{Condition: manifests.Healthy}, true})
		case ok:
			found = append(found, sign{manifests.Health{Condition: manifests.Progressing, Message: "status." + field + " is false"}, true})
		}
	}
	return found
}

// countSigns are what the counts of a workload say, where it has them: its instances are to be there, of the newest
// revision and ready. A partition, or a pause, keeps some of the older revision.
func countSigns(u *unstructured.Unstructured) (found []sign) {
	want, ok := asNumber(fieldOf(u.Object, "spec.replicas"))
	if !ok {
		if want, ok = asNumber(fieldOf(u.Object, "status.replicas")); !ok {
			return nil
		}
	}
	for _, count := range []struct{ field, what string }{
		{"updatedReplicas", "updated"}, {"readyReplicas", "ready"}, {"availableReplicas", "available"},
	} {
		have, ok := asNumber(fieldOf(u.Object, "status."+count.field))
		if !ok || have >= want || count.what == "updated" && isPartitioned(u) {
			continue
		}
		message := fmt.Sprintf("%d of %d replicas are %s", have, want, count.what)
		found = append(found, sign{manifests.Health{Condition: manifests.Progressing, Message: message}, true})
	}
	return found
}

func isPartitioned(u *unstructured.Unstructured) bool {
	for _, field := range []string{"spec.updateStrategy.partition", "spec.updateStrategy.rollingUpdate.partition"} {
		if partition := textOf(u.Object, field); partition != "" && partition != "0" {
			return true
		}
	}
	return strings.EqualFold(textOf(u.Object, "spec.updateStrategy.type"), "OnDelete")
}

// troubleSigns are the texts for what went wrong. Those of Cluster API are of what its controllers do not mend; the others
// may be of the time before where the object is told of in other ways.
// (https://cluster-api.sigs.k8s.io/developer/providers/contracts/overview)
func troubleSigns(u *unstructured.Unstructured, isToldOf bool) (found []sign) {
	fields := []string{"failureMessage", "failureReason"}
	if !isToldOf {
		fields = append(fields, "errorMessage", "error", "error.message")
	}
	for _, field := range fields {
		if text, _ := fieldOf(u.Object, "status."+field).(string); text != "" {
			found = append(found, sign{failed("Error", text), true})
		}
	}
	return found
}

// isBlank tells a status that somebody has begun, and has put nothing in but empty lists. An empty one is none.
func isBlank(u *unstructured.Unstructured) bool {
	status, _ := u.Object["status"].(map[string]any)
	for _, value := range status {
		if list, ok := value.([]any); !ok || len(list) > 0 {
			return false
		}
	}
	return len(status) > 0
}

// told gives a verdict the words that the status has for it, where it has none.
func told(u *unstructured.Unstructured, verdict manifests.Health) manifests.Health {
	if verdict.Condition == manifests.Healthy || verdict.Message != "" {
		return verdict
	}
	verdict.Message = textOf(u.Object, "status.message")
	if reason := textOf(u.Object, "status.reason"); verdict.Message == "" && strings.Contains(reason, " ") {
		verdict.Message = reason
	}
	if verdict.Message != "" {
		return verdict
	}
	if condition := telling(conditionsOf(u.Object)); condition != nil {
		verdict.Message = condition["message"]
		if verdict.Reason == "" {
			verdict.Reason = reasonOf(condition)
		}
	}
	return verdict
}

// telling is the condition whose message tells why an object is not healthy: the first that is not as it should be, else the
// first with a message.
func telling(conditions []map[string]string) (found map[string]string) {
	for _, c := range conditions {
		words := wordsIn(typeOf(c))
		if c["message"] == "" || len(words) == 0 {
			continue
		}
		if says, _ := conditionSays(c, words, false); says != "" && says != manifests.Healthy {
			return c
		}
		if found == nil {
			found = c
		}
	}
	return found
}
