package sync

import (
	"context"
	"fmt"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// vigil is the watch over a kept release, for spec.health.watchFor. How far it is, a restart forgets, for no clock but
// this process's counts: the release is watched anew for the full time. That it is watched is in its record.
type vigil struct {
	release int
	since   time.Time
}

// watchOn watches a kept release: until the vigil is over, what turns bad has it refused and the one kept before put
// back, as if it had never been kept. What has left Git is deleted only then, so that nothing has to be resurrected.
func (s *Syncer) watchOn(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	record, now := *state.Newest, s.Clock()
	if s.memory.course.release != record.Number {
		s.begin(record.Number, record.Ailing)
	}
	if s.memory.vigil.release != record.Number {
		s.memory.vigil = vigil{release: record.Number, since: now}
	}
	undone := s.correct(ctx, want, record, out) // that something cannot be put right keeps nobody from looking
	reports, err := s.observe(ctx, looking{record: record, closely: true}, out)
	if err != nil {
		return Verdict{Decision: Open}, err
	}
	s.memory.course.note(reports, true, now)
	until := s.memory.vigil.since.Add(want.Spec.Health.WatchFor.Duration)
	out.WatchedUntil = until
	verdict := overlook(reports, &s.memory.course, span{now: now, until: until}, patienceOf(want))
	switch {
	case verdict.Decision == Bad:
		return s.refuse(ctx, want, state, verdict, out)
	case undone != nil:
		return verdict, undone
	case verdict.Decision == Good:
		return verdict, s.endVigil(ctx, want, record, out)
	}
	return verdict, s.memory.fights.problem(s.Name, s.Namespace)
}

// endVigil leaves a kept release to itself, and deletes what it has left behind.
func (s *Syncer) endVigil(ctx context.Context, want Want, record manifests.Record, out *Outcome) error {
	out.WatchedUntil = time.Time{}
	record.Outcome.Watching = false
	if err := s.Journal.Mark(ctx, record.Number, record.Outcome); err != nil || record.Outcome.Pruned {
		return err
	}
	return s.prune(ctx, want, &record, record.Number, out)
}

// span is the time that is left of a vigil.
type span struct{ now, until time.Time }

// overlook judges a kept release that is watched on: bad when an object fails, or is not healthy for the timeout without
// a break; good once the time is over. An object that was not healthy then has the rest of its timeout.
func overlook(reports []manifests.Health, c *course, s span, p patience) Verdict {
	ill, m := c.ill, c.moment(s.now)
	t := tallyOf(reports, m.failing)
	if len(t.failed) > 0 {
		return judge(t.failed, m, p)
	}
	wait, waits := s.until.Sub(s.now), s.now.Before(s.until)
	var overdue []manifests.Health
	for _, report := range t.pending {
		left := ill[report.ID].Add(p.timeout).Sub(s.now)
		switch {
		case left <= 0:
			overdue = append(overdue, report)
		case s.now.Before(s.until):
			wait = min(wait, left)
		case ill[report.ID].Before(s.until):
			wait, waits = max(wait, left), true
		}
	}
	switch {
	case len(overdue) > 0:
		return Verdict{Decision: Bad, Reason: "TimedOut", Message: fmt.Sprintf("not healthy for %s after it was kept: %s", p.timeout, told(telling(overdue)))}
	case waits:
		return t.open("WatchedOn", "watched on", wait)
	}
	return Verdict{Decision: Good}
}
