package health

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// A condition's type ends in the word that says what it is about: "Ready", "PodsHealthy", "ACK.ResourceSynced",
// "InstallPlanFailed". By that word conditions are of these sorts; those of another word say nothing while their reason
// says nothing.
var (
	// wanted are to be True.
	wanted = wordsOf(`
		ready available healthy synced synchronized reconciled succeeded successful success complete completed established
		programmed deployed installed provisioned configured initialized registered bound applied connected published launched`)
	// decided are wanted, too, and False is a verdict of somebody who has looked: it was refused.
	decided = wordsOf(`accepted admitted valid validated succeeded resolved refs permitted`)
	// ofSpec are of whether what is asked for has been taken up, which one that is Ready as it was before does not tell.
	ofSpec = wordsOf(`synced synchronized reconciled accepted valid validated`)
	// unwanted are to be False.
	unwanted = wordsOf(`
		stalled degraded failed failure failures error errors invalid terminal unhealthy orphan orphaned conflicted crashed fatal`)
	// busy are True while somebody is at it.
	busy = wordsOf(`
		reconciling progressing updating upgrading installing provisioning initializing creating deleting terminating deploying
		rolling restarting migrating`)
	// retrying words tell that whoever is at it has tried in vain already.
	retrying = wordsOf(`retry retrying retries`)
	// idle are True while it stands still because somebody wants it to.
	idle = wordsOf(`paused suspended stopped hibernated hibernation`)
)

// A condition is told of in one of these lists of a status; the list of the object itself, and those of the parts that
// it consists of (Gateway API, GEP-713).
var parts = []string{"parents", "ancestors", "listeners", "ingress"}

// conditionSigns are what an object's conditions say of it, and those of its parts.
func conditionSigns(u *unstructured.Unstructured) signs {
	own := signsOf(conditionsOf(u.Object), u.GetGeneration())
	for _, part := range parts {
		list, _ := fieldOf(u.Object, "status."+part).([]any)
		for _, item := range list {
			content, _ := item.(map[string]any)
			own.list = append(own.list, signsOf(conditionsIn(content["conditions"]), u.GetGeneration()).list...)
		}
	}
	return own
}

// signsOf are what one list of conditions says.
func signsOf(conditions []map[string]string, generation int64) (found signs) {
	working := isBusy(conditions)
	for _, c := range conditions {
		words := wordsIn(typeOf(c))
		if len(words) == 0 {
			continue
		}
		ready := len(words) == 1 && words[0] == "ready"
		if observed, ok := asNumber(c["observedGeneration"]); ok && observed < generation {
			if wanted[words[len(words)-1]] || decided[words[len(words)-1]] {
				found.add(unseen, !ready)
			}
			continue
		}
		verdict, weak := conditionSays(c, words, working)
		switch {
		case verdict == manifests.Healthy && ready:
			found.ready = true
			found.add(manifests.Health{Condition: verdict}, false)
		case verdict == manifests.Healthy:
			found.add(manifests.Health{Condition: verdict}, true)
		case verdict != "":
			found.add(manifests.Health{Condition: verdict, Reason: reasonOf(c), Message: messageOf(c)}, weak && verdict != manifests.Suspended)
		}
	}
	return found
}

// conditionSays is what one condition means; weak is what an object that is Ready is not judged by.
func conditionSays(c map[string]string, words []string, working bool) (verdict manifests.Condition, weak bool) {
	about := words[len(words)-1]
	reason := wordsIn(c["reason"])
	negated := len(words) > 1 && negations[words[0]] // NoWarnings, NotFailed
	switch {
	case unwanted[about] && !negated:
		if c["status"] == "True" {
			return manifests.Unhealthy, len(words) > 1
		}
		return "", true
	case len(words) == 2 && words[0] == "error" && words[1] == "occurred":
		if c["status"] == "True" {
			return manifests.Unhealthy, false
		}
		return "", true
	case idle[about]:
		if c["status"] == "True" {
			return manifests.Suspended, false
		}
		return "", true
	case busy[about]:
		return busySays(c, reason), len(words) > 1
	case negated && wanted[about]: // NotReady
		if c["status"] == "True" {
			return manifests.Progressing, true
		}
		return "", true
	case wanted[about] || decided[about]:
		verdict = wantedSays(c, reason, working && !decided[about], decided[about])
		return verdict, verdict != manifests.Unhealthy || len(words) > 1 || !ofSpec[about]
	case c["status"] != "Unknown" && saysFailed(reason):
		return manifests.Unhealthy, true
	}
	return "", true
}

// busySays is what a condition says that is True while somebody is at it. Deployments, and what was made after them, leave
// it True with a reason that says that it is done.
func busySays(c map[string]string, reason []string) manifests.Condition {
	switch {
	case c["status"] == "False" && saysFailed(reason):
		return manifests.Unhealthy
	case c["status"] == "False":
		return ""
	case stopped.has(reason):
		return manifests.Suspended
	case good.has(reason) && !saysWaiting(reason):
		return ""
	}
	return manifests.Progressing
}

// wantedSays is what a condition says that is to be True. While somebody is at it, what it says of a failure may be of the
// time before.
func wantedSays(c map[string]string, reason []string, working, decided bool) manifests.Condition {
	switch c["status"] {
	case "True":
		if stopped.has(reason) {
			return manifests.Suspended
		}
		if saysFailed(reason) {
			return manifests.Unhealthy // Complete, for it has failed
		}
		return manifests.Healthy
	case "False":
		switch {
		case stopped.has(reason):
			return manifests.Suspended
		case working, saysAtIt(reason) && !saysFailed(reason):
			return manifests.Progressing
		case decided && c["reason"]+c["message"] != "", saysFailed(reason), len(reason) == 0 && beginsWithFailure(c["message"]):
			return manifests.Unhealthy
		}
	}
	return manifests.Progressing
}

// beginsWithFailure tells whether a message says at once that it is one of a failure.
func beginsWithFailure(message string) bool {
	words := wordsIn(message)
	return len(words) > 0 && (words[0] == "failed" || words[0] == "error")
}

// isBusy tells whether somebody is at it, and has not tried in vain already.
func isBusy(conditions []map[string]string) bool {
	for _, c := range conditions {
		words := wordsIn(typeOf(c))
		if len(words) != 1 || !busy[words[0]] || c["status"] != "True" {
			continue
		}
		reason := wordsIn(c["reason"])
		if busySays(c, reason) == manifests.Progressing && !retrying.has(reason) {
			return true
		}
	}
	return false
}

// typeOf is a condition's type without the domain before it: "platform.example.org/app-ready".
func typeOf(c map[string]string) string {
	return c["type"][strings.LastIndex(c["type"], "/")+1:]
}

// reasonOf is one word for a condition: its reason, or its type where it has a sentence for a reason.
func reasonOf(c map[string]string) string {
	if c["reason"] == "" || strings.ContainsAny(c["reason"], " \t\n") {
		return typeOf(c)
	}
	return c["reason"]
}

// messageOf is a condition's message, its reason where that is a sentence, or what it is.
func messageOf(c map[string]string) string {
	switch {
	case c["message"] != "":
		return c["message"]
	case strings.Contains(c["reason"], " "):
		return c["reason"]
	}
	return "condition " + c["type"] + " is " + c["status"]
}
