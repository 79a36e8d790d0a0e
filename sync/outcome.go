package sync

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// Outcome is all that a pass has to say. Status, events and the next call are derived from it.
type Outcome struct {
	Suspended bool
	Unread    bool   // the journal cannot be read: what was said before stands
	Looked    bool   // a request to look at the remote has been heard
	Latest    string // where the ref was at the last look, which Wanted may be older than; empty before the first
	// Indifferent says that a commit which changes nothing of what was read for the wanted one needs no pass.
	Indifferent bool
	Decided     bool             // requests to try again or resolve anew have been, too: there is a decision on the wanted commit
	Undecided   *Problem         // why there is none, if that was looked for in vain
	GoneBack    bool             // a request to go back has been carried out or refused
	Wanted      manifests.Commit // zero while the remote has not answered yet
	Records     []manifests.Record
	State       State
	Frozen      bool
	Thaw        string // how the freeze is ended
	// Disposition of the wanted commit; empty while it has not been built in this process.
	Disposition Disposition
	// Written tells that all objects of the release under way have been written.
	Written bool
	Reports []manifests.Health
	Verdict Verdict
	// WatchedUntil is when a kept release is left to itself, by this process's clock; zero where it is already.
	WatchedUntil time.Time
	Pins         manifests.Pins // of the running release; nil where they are not known
	// Resolved and Unpinned say, where Pins are known, how they were found, and what has none.
	Resolved map[string]manifests.Resolution
	Unpinned []v1alpha1.UnpinnedImage
	// Checked says that registries have been asked for the digests of stored releases; what they do not have is Lost.
	Checked bool
	Lost    []Lost
	Problem *Problem
	Events  []Event
	Next    time.Duration // when to be called again, if no watch calls sooner
}

// Event is one line for `kubectl describe`.
type Event struct {
	Warning bool
	Reason  string
	Message string
}

func normal(reason, format string, args ...any) Event {
	return Event{Reason: reason, Message: shorten(fmt.Sprintf(format, args...))}
}

func warning(reason, format string, args ...any) Event {
	e := normal(reason, format, args...)
	e.Warning = true
	return e
}

// report completes an outcome with what this process remembers and with the time of the next pass.
func (s *Syncer) report(ctx context.Context, want Want, out Outcome) Outcome {
	if records, err := s.records(ctx); err == nil {
		out.Records = records
		out.State, out.Frozen = StateOf(out.Records), frozen(out.Records)
	} else {
		out.Unread = true
	}
	if out.Frozen {
		out.Thaw = s.thaw()
	}
	out.Wanted, out.Disposition, out.Latest = s.memory.commit, s.memory.disposition, s.memory.latest
	out.Indifferent = out.Decided && s.indifferent(want)
	if running := out.State.Running(); running != nil {
		if listed, known := s.listed(running.Number); known {
			out.Pins = manifests.Pins{}
			maps.Copy(out.Pins, listed.pins)
			out.Resolved, out.Unpinned = listed.resolved, listed.unpinned
		}
	}
	if out.State.Newest != nil {
		out.Written = s.memory.written == out.State.Newest.Number
	}
	out.Next = s.next(want, out)
	s.tellStart(&out)
	return out
}

// next is the earliest of: the next try, the next look at registries, the end of the verdict's patience. The remote is
// asked elsewhere, see [Source], and watches tell of the cluster. So at rest there is nothing to wait for; a pass that
// comes all the same, each Sync's at another time, mends what nobody has thought of.
func (s *Syncer) next(want Want, out Outcome) time.Duration {
	if out.Suspended {
		return 0
	}
	const shortest, longest = 50 * time.Millisecond, 10 * time.Minute
	now := s.Clock()
	wait := longest + rand.N(longest/2)
	if !out.Looked && !out.Unread && !out.State.RollingBack() && s.memory.settling.last == nil {
		return shortest // a rollback has just ended, and what was pushed meanwhile has not been looked at
	}
	if out.Looked && !out.State.RollingBack() {
		if f := s.memory.looking; f.last != nil {
			wait = min(wait, f.until.Sub(now))
		}
		if f := s.memory.building; f.last != nil && s.memory.head != "" {
			wait = min(wait, f.until.Sub(now))
		}
		if out.Decided && want.Spec.Images.Resolve == v1alpha1.ResolveFollow {
			wait = min(wait, s.nextFollow(want, now))
		}
	}
	if f := s.memory.settling; f.last != nil {
		wait = min(wait, f.until.Sub(now))
	}
	if off := s.memory.progress.putOff; len(off.tiers) > 0 {
		wait = min(wait, off.failures.until.Sub(now))
	}
	if due := s.memory.checking.due; s.CheckImages > 0 && !due.IsZero() {
		wait = min(wait, due.Sub(now))
	}
	if s.memory.fights.pausing(now) {
		wait = min(wait, s.memory.fights.until.Sub(now))
	}
	underWay := out.State.Newest != nil && (!out.State.Settled() || out.State.Watching())
	if underWay && out.Verdict.Wait > 0 {
		wait = min(wait, out.Verdict.Wait)
	}
	return max(wait, shortest)
}

// describe names a commit for people: `9f2c1e7 "Bump cart"`.
func describe(c manifests.Commit) string {
	if c.Subject == "" {
		return short(c.Hash)
	}
	return fmt.Sprintf("%s %q", short(c.Hash), c.Subject)
}

// firstRunes is the beginning of a text.
func firstRunes(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

func short(hash string) string { return hash[:min(7, len(hash))] }
