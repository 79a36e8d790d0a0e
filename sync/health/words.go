package health

import (
	"strings"
	"unicode"

	"github.com/belay-gitops/belay/manifests"
)

// The words that controllers use, in lower case. They are looked up word by word: "ImportInProgress", "IMPORT_IN_PROGRESS"
// and "import in progress" are the same three words. What stands here is what a word means to those who wait: a word that
// is in no list says nothing.
var (
	// failing words call the thing itself failed, wherever they stand: in a reason, in the type of a condition, in a phase.
	failing = wordsOf(`
		failed fail fails failure failures error errors errored err fatal
		invalid illegal malformed misconfigured incorrect unsupported incompatible
		rejected denied forbidden unauthorized refused conflict conflicted conflicting
		aborted crash crashed crashloop crashloopbackoff backoff exceeded timeout stalled broken corrupt corrupted terminal`)
	// failingStates are failing, too, where they are the whole state of an object; as a part of a reason they tell of
	// another, which may still be starting.
	failingStates = wordsOf(`degraded unhealthy red faulty faulted faulting lost expired orphan orphaned orphans`)
	// waiting words say that somebody is at it. So do all that end in -ing, but for the standing ones.
	waiting = wordsOf(`
		pending wait waits awaits progress queued requested initial init initialize retry retries
		unavailable unready uninitialized yellow started scheduled unscheduled later`)
	standing = wordsOf(`running serving listening streaming monitoring working existing missing warning routing
		networking scheduling logging tracing string binding setting mapping matching`)
	// stopped words say that it stands still because somebody wants it to.
	stopped = wordsOf(`paused suspended stopped hibernated hibernation hibernate shutdown`)
	// good words are those of an object that is as it should be.
	good = wordsOf(`
		ready running healthy active available succeeded success successful successfully complete completed done finished
		bound deployed ok green online up synced synchronized established accepted programmed admitted provisioned created
		valid enabled configured exists installed initialized connected registered approved applied attached reconciled stable
		published serving listening streaming promoted released`)
	// unsure words say that whoever looks after the object does not know.
	unsure = wordsOf(`unknown inconclusive undefined`)
	// negations turn the word after them.
	negations = wordsOf(`no not non without zero never un isnt arent cannot`)
	// askedFor are the fields of a spec with which somebody asks an object to stand still.
	askedFor = []string{"suspend", "suspended", "paused", "pause"}
)

// wordList is a set of words.
type wordList map[string]bool

func wordsOf(text string) wordList {
	list := wordList{}
	for _, word := range strings.Fields(text) {
		list[word] = true
	}
	return list
}

// wordsIn splits a text into words in lower case: at everything that is no letter, and where a capital begins a word.
func wordsIn(text string) []string {
	var words []string
	runes := []rune(text)
	start := -1
	for i, r := range runes {
		if !unicode.IsLetter(r) {
			if start >= 0 {
				words, start = append(words, strings.ToLower(string(runes[start:i]))), -1
			}
			continue
		}
		if start >= 0 && unicode.IsUpper(r) && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			words, start = append(words, strings.ToLower(string(runes[start:i]))), i
		}
		if start < 0 {
			start = i
		}
	}
	if start >= 0 {
		words = append(words, strings.ToLower(string(runes[start:])))
	}
	return words
}

// has tells whether one of the words is in the list, and no negation before it.
func (l wordList) has(words []string) bool {
	for i, word := range words {
		if l[word] && !(i > 0 && negations[words[i-1]]) {
			return true
		}
	}
	return false
}

// saysFailed tells whether a reason calls something failed: "ReconcileError" and "SecretNotFound", and not "NoErrors".
func saysFailed(words []string) bool {
	return failing.has(words) || follows(words, "not", "found") || follows(words, "back", "off") || follows(words, "timed", "out")
}

// saysWaiting tells whether a reason says that somebody is at it, or that something is not yet: "Creating",
// "NotAllPodsReady".
func saysWaiting(words []string) bool {
	if saysAtIt(words) {
		return true
	}
	for i, word := range words {
		if negations[word] && good.has(words[i+1:]) {
			return true
		}
	}
	return false
}

// saysAtIt tells whether a reason says that somebody is at it: "Creating", "WaitingForNode".
func saysAtIt(words []string) bool {
	for _, word := range words {
		if strings.HasSuffix(word, "ing") && len(word) > 4 && !standing[word] {
			return true
		}
	}
	return waiting.has(words)
}

func follows(words []string, first, second string) bool {
	for i := range words {
		if i > 0 && words[i-1] == first && words[i] == second {
			return true
		}
	}
	return false
}

// stateOf is what a state in one or some words means: "Ready", "CREATING", "ConfigError", "Cluster in healthy state". Empty
// where it says nothing.
func stateOf(text string) manifests.Condition {
	words := wordsIn(text)
	switch {
	case len(words) == 0:
		return ""
	case len(words) == 1 && words[0] == "new":
		return manifests.Progressing
	case len(words) == 1 && words[0] == "missing", follows(words, "not", "found"):
		return manifests.Missing
	case saysFailed(words), failingStates.has(words):
		return manifests.Unhealthy
	case stopped.has(words):
		return manifests.Suspended
	case saysWaiting(words):
		return manifests.Progressing
	case unsure.has(words):
		return manifests.Unknown
	case good.has(words):
		return manifests.Healthy
	}
	return ""
}
