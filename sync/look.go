package sync

import (
	"context"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// look finds out where the ref is. It has the remote asked only where somebody wants that, or where the spec is new:
// otherwise what is known will do, and whatever is found out later calls.
func (s *Syncer) look(ctx context.Context, want Want, state State) {
	now, options := s.Clock(), optionsOf(want.Spec)
	if asked := want.asked(now); options != s.memory.lookedBy {
		s.memory.head, s.memory.passed, s.memory.looking, s.memory.since = "", "", failures{}, asked
	}
	s.memory.lookedBy = options
	var since time.Time
	switch {
	case want.Poll || want.Look:
		since = want.asked(now)
	case s.memory.head == "":
		since = s.memory.since
	}
	head, seen, err := s.Source.Head(ctx, since)
	if err != nil {
		s.memory.looking.add(err, now)
		return
	}
	before := s.memory.polled
	s.memory.polled, s.memory.latest, s.memory.looking = s.Clock(), head, failures{}
	if s.passesOver(ctx, want, head) {
		s.memory.passed = head
		return
	}
	if head != s.memory.commit.Hash {
		s.memory.commit = manifests.Commit{Hash: head}
		s.memory.sighting = sighting{seen: seen, before: before, begun: now}
	}
	s.memory.head, s.memory.passed = head, "" // what was passed over differs from another head
}

// asked is since when all that is asked for has been.
func (w Want) asked(now time.Time) time.Time {
	if w.Asked.IsZero() {
		return now
	}
	return w.Asked
}

// passesOver tells a commit that changes nothing of what this Sync reads, and that nobody has asked it to look at.
func (s *Syncer) passesOver(ctx context.Context, want Want, head string) bool {
	personal := want.Poll || want.Retry || want.Resolve || want.Rollback != nil
	if personal || s.memory.head == "" || head == s.memory.head {
		return false
	}
	return head == s.memory.passed || s.indifferent(want) && s.Source.Unchanged(ctx, head)
}

// indifferent tells that a commit which changes nothing of what this Sync reads could change nothing at all: what it wants
// is decided, and runs or is on its way. What was refused or is held is tried again with whatever commit is new, and so
// is what has still to start.
func (s *Syncer) indifferent(want Want) bool {
	switch s.memory.disposition {
	case Start, Continue, Rest:
		return s.memory.built == s.input(want) && s.memory.refused == nil && s.memory.waits == ""
	}
	return false
}
