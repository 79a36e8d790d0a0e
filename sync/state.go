package sync

import (
	"slices"

	"github.com/belay-gitops/belay/manifests"
)

// State is where a Sync stands. It is computed from the journal alone, which is all that survives a restart: the
// stored releases and what became of each. Everything else that a pass needs is read from the cluster or from
// Git again.
type State struct {
	// Newest is the release that was started last, nil before the first.
	Newest *manifests.Record
	// Kept is the last one that was healthy: where a rollback goes.
	Kept *manifests.Record
	// Before is the one kept before Newest, while that is kept and watched on: where a rollback goes then.
	Before *manifests.Record
}

// Settled reads the journal as it is meant: a release that never got a verdict, and has others after it, was
// superseded. Storing the next one says so already, and saves a write.
func Settled(records []manifests.Record) []manifests.Record {
	for i := range records[:max(0, len(records)-1)] {
		if records[i].Outcome.Result == manifests.Applying {
			records[i].Outcome.Result = manifests.Superseded
		}
	}
	return records
}

// StateOf reads the journal, oldest record first.
func StateOf(records []manifests.Record) State {
	var state State
	for i := range records {
		record := &records[i]
		state.Before = state.Kept
		switch outcome := record.Outcome; {
		case outcome.Result == manifests.Kept:
			state.Kept = record
		case outcome.Result.WentBack() && outcome.To != 0:
			state.Kept = find(records, outcome.To) // nil where it is lost: nothing else is guessed
		}
		state.Newest = record
	}
	if !state.Watching() {
		state.Before = nil
	}
	return state
}

func find(records []manifests.Record, number int) *manifests.Record {
	for i := range records {
		if records[i].Number == number {
			return &records[i]
		}
	}
	return nil
}

// Running is the release whose objects are the ones in the cluster, or on their way there.
func (s State) Running() *manifests.Record {
	if s.Newest != nil && s.Newest.Outcome.Result.WentBack() {
		return s.Kept
	}
	return s.Newest
}

// Settled tells that the cluster is at a kept release and nothing is under way.
func (s State) Settled() bool {
	return s.Newest != nil &&
		(s.Newest.Outcome.Result == manifests.Kept || s.Newest.Outcome.Result == manifests.RolledBack)
}

// Watching tells that a kept release is watched on, and may be gone back from by itself. What is released after it ends
// that.
func (s State) Watching() bool {
	return s.Newest != nil && s.Newest.Outcome.Result == manifests.Kept && s.Newest.Outcome.Watching
}

// Open tells that a release is being written or judged.
func (s State) Open() bool {
	return s.Newest != nil && s.Newest.Outcome.Result == manifests.Applying
}

// RollingBack tells that a rollback has begun and not ended. It is finished before anything new is looked at, if there
// still is something to go back to.
func (s State) RollingBack() bool {
	return s.Newest != nil && s.Newest.Outcome.Result == manifests.RollingBack && s.Kept != nil
}

// Disposition is what to do with a release that was built from the wanted commit.
type Disposition string

// The dispositions.
const (
	// Start it: it is new.
	Start Disposition = "Start"
	// Continue the release under way: it is the same.
	Continue Disposition = "Continue"
	// Rest: the cluster is there already. A hold, if there was one, is over.
	Rest Disposition = "Rest"
	// Hold it: this very release was refused, and nothing has changed since.
	Hold Disposition = "Hold"
	// Freeze everything new: too many releases in a row were rolled back.
	Freeze Disposition = "Freeze"
)

// Dispose compares a release with what went before. A refused release is the same again when its objects, pins
// included, and the spec are the same, whatever the commit; retry asks for it all the same.
func (s State) Dispose(objects, options string, retry bool) Disposition {
	if s.Newest == nil {
		return Start
	}
	same := s.Newest.Objects == objects
	unchanged := s.Newest.Outcome.Options == options && !retry
	switch {
	case same && s.Open():
		return Continue
	case same && s.Settled() && s.Kept != nil && s.Kept.Number == s.Newest.Number:
		return Rest // people may have gone back from it, and forth again
	case same && s.Newest.Outcome.Result.Refused() && unchanged:
		return Hold
	case s.Settled() && s.Kept != nil && s.Kept.Objects == objects:
		return Rest
	case slices.Contains(s.Newest.Outcome.Left, objects) && unchanged:
		return Hold
	}
	return Start
}

// surplus names the releases to drop so that keep are left, oldest first. The one that runs or is gone back to stays,
// and so do those that count for [frozen].
func surplus(records []manifests.Record, keep int) []int {
	state := StateOf(records)
	var drop []int
	for _, record := range records[:max(0, len(records)-keep)] {
		isKept := state.Kept != nil && record.Number == state.Kept.Number
		if !isKept && !(wentBackByItself(record) && within(record, *state.Newest)) {
			drop = append(drop, record.Number)
		}
	}
	return drop
}
