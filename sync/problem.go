package sync

import (
	"errors"
	"slices"
	"time"
	"unicode"
)

// Problem is why a pass could not go on, for the person who must act.
type Problem struct {
	Reason  string // a CamelCase word
	Message string // what, where, and what would be right
	// Temporary problems are tried again by themselves; the others wait for a new commit or a changed spec.
	Temporary bool
	After     time.Duration // when to try again, where the other side said so; else 0
}

// isOfJournal tells that a stored release cannot be read. That is for people to mend, and says nothing of the commit that
// was to be deployed: it is looked at again then, without another commit.
func (p Problem) isOfJournal() bool {
	return slices.Contains([]string{"ReleaseCorrupt", "ReleaseLost", "ReleaseNewer"}, p.Reason)
}

// selfDescribing is an error that knows whether trying again can help. The packages of the outside world return
// such errors; one that does not describe itself is taken for temporary.
type selfDescribing interface {
	error
	Describe() (reason string, temporary bool, after time.Duration)
}

func problemOf(err error) Problem {
	var known selfDescribing
	if errors.As(err, &known) {
		reason, temporary, after := known.Describe()
		return Problem{Reason: reason, Message: shorten(err.Error()), Temporary: temporary, After: after}
	}
	return Problem{Reason: "Error", Message: shorten(err.Error()), Temporary: true}
}

// refusal is an error of belay's own making that only something new can mend.
type refusal struct{ reason, message string }

func (r refusal) Error() string { return r.message }

func (r refusal) Describe() (string, bool, time.Duration) { return r.reason, false, 0 }

// shorten keeps a message readable and status small: 1 KiB at most, no control characters but line breaks.
func shorten(message string) string {
	const most = 1024
	clean := make([]rune, 0, min(len(message), most))
	size := 0
	for _, r := range message {
		if unicode.IsControl(r) && r != '\n' {
			r = ' '
		}
		if size += len(string(r)); size > most-len("…") {
			return string(clean) + "…"
		}
		clean = append(clean, r)
	}
	return string(clean)
}
