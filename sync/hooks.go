package sync

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// hookFailed is the reason of a release that a hook has refused.
const hookFailed = "HookFailed"

// hooking is how far the hooks of a release have come, as this process has seen it.
type hooking struct {
	of      string         // see runOf
	run     string         // what its Jobs are made for: as of, but where people went back and forth
	stopped bool           // those of other runs are
	done    []manifests.ID // as the journal has it
	running []manifests.ID // at the last look
	begun   time.Time      // since when the present ones are waited for; zero while none are, or something else is
	spent   time.Duration  // on hooks, before that
	from    time.Duration  // of spent: on those before the present ones
}

// took is how long hooks, and nothing else, have been waited for.
func (h hooking) took(now time.Time) time.Duration {
	if h.begun.IsZero() {
		return h.spent
	}
	return h.spent + now.Sub(h.begun)
}

// pause ends the time of hooks until they are what is waited for again.
func (h *hooking) pause(now time.Time) { h.spent, h.begun = h.took(now), time.Time{} }

// runOf tells the Jobs of one run of a hook from those of another: each release has one, and each rollback.
func runOf(release, as int) string {
	if as < 0 {
		return fmt.Sprintf("%d-rollback-to-%d", -as, release)
	}
	return strconv.Itoa(release)
}

// hooksOf is the hooks among objects, less those that people have said to leave alone.
func hooksOf(objects manifests.Set) []manifests.Object {
	return slices.DeleteFunc(objects.Objects(), func(o manifests.Object) bool { return o.Hook() == manifests.NoHook || o.LeftAlone() })
}

// hookJobs names what may run as a hook as a release begins: its own hooks, and Jobs that others before it had.
func hookJobs(release manifests.Release) []manifests.ID {
	jobs := slices.DeleteFunc(slices.Clone(release.Owned), func(id manifests.ID) bool { return !isJob(id) })
	for _, o := range release.Objects.Objects() {
		if isJob(o.ID()) {
			jobs = append(jobs, o.ID())
		}
	}
	return jobs
}

// hasHooks tells whether hooks come before a release is written: its own, or the end of those of the release that it
// interrupts, or of one that has failed, whose hooks may run still.
func hasHooks(release manifests.Release, state State) bool {
	mayRun := state.Newest != nil && !state.Settled()
	return len(hooksOf(release.Objects)) > 0 || mayRun && len(hookJobs(release)) > 0
}

// barred tells that a refused release must not be written: hooks that come before that have not run. Any that run still
// are stopped.
func (s *Syncer) barred(ctx context.Context, record manifests.Record) (bool, error) {
	listed, err := s.list(ctx, record.Number)
	if err != nil {
		return true, err
	}
	if record.Outcome.Reason == hookFailed && len(listed.jobs) > 0 {
		if _, err := s.Cluster.StopHooks(ctx, listed.jobs, ""); err != nil {
			return true, err
		}
	}
	return len(due(listed.hooks, manifests.HookBefore, record.Outcome.Hooks, false)) > 0, nil
}

// due is the hooks of a stage that are to run now: of those that have not, the ones of the lowest wave. On the way back
// only those count that ask for it.
func due(hooks []manifests.Object, stage manifests.Hook, done []manifests.ID, back bool) []manifests.Object {
	var due []manifests.Object
	for _, o := range hooks {
		switch {
		case o.Hook() != stage, back && !o.HooksOnRollback(), slices.Contains(done, o.ID()):
			continue
		case len(due) > 0 && o.Wave() > due[0].Wave():
			continue
		case len(due) > 0 && o.Wave() < due[0].Wave():
			due = nil
		}
		due = append(due, o)
	}
	return due
}

// judgeHooks says what becomes of a release whose hooks are so: they are good once all are complete, and bad once one of
// them has failed, or when they took longer than timeout.
func judgeHooks(reports []manifests.Health, waited, timeout time.Duration) Verdict {
	var pending *manifests.Health
	wait := timeout - waited
	for _, report := range reports {
		switch {
		case report.Bad():
			return Verdict{Decision: Bad, Reason: hookFailed, Message: told(report)}
		case !report.Good() && pending == nil:
			pending = &report
		}
		if report.Again > 0 {
			wait = min(wait, report.Again)
		}
	}
	switch {
	case pending == nil:
		return Verdict{Decision: Good}
	case waited >= timeout:
		return Verdict{Decision: Bad, Reason: hookFailed, Message: fmt.Sprintf("not complete within %s: %s", timeout, told(*pending))}
	}
	return Verdict{Decision: Open, Reason: "HookRunning", Wait: wait,
		Message: fmt.Sprintf("waiting for the hook %s", told(*pending))}
}

// runHooks has the hooks of a stage run, wave after wave, and notes in the journal which have. It is good once none is
// left. Before the first of all, those of other runs have to be over. As is that of write.
func (s *Syncer) runHooks(ctx context.Context, want Want, stage manifests.Hook, record manifests.Record, as int) (Verdict, error) {
	listed, err := s.list(ctx, record.Number)
	if err != nil {
		return Verdict{Decision: Open}, err
	}
	if err := s.beginHooks(ctx, listed, as); err != nil {
		return Verdict{Decision: Open}, err
	}
	h := &s.memory.hooks
	timeout := want.Spec.Health.Timeout.Duration
	if !h.stopped {
		if verdict, err := s.othersOver(ctx, record, as, timeout); err != nil || verdict.Decision != Good {
			return verdict, err
		}
		h.stopped = true
		s.hooksOver()
	}
	for {
		jobs := due(listed.hooks, stage, h.done, as < 0)
		if len(jobs) == 0 {
			return Verdict{Decision: Good}, nil
		}
		waited := s.hooksFor()
		h.running = idsOf(jobs)
		reports, err := s.Cluster.RunHooks(ctx, jobs, h.run)
		if err == nil {
			err = s.noteHooks(ctx, as, jobs, reports)
		}
		verdict := judgeHooks(reports, waited, timeout)
		if err != nil || verdict.Decision != Good {
			return s.hooksOverdue(verdict, timeout, err)
		}
		s.hooksOver()
	}
}

// othersOver has the hooks of other runs stopped, and is good once they are. No rollback is given up for what the refused
// release has left running.
func (s *Syncer) othersOver(ctx context.Context, record manifests.Record, as int, timeout time.Duration) (Verdict, error) {
	left, err := s.stopHooks(ctx, record, as)
	verdict, err := s.hooksOverdue(judgeHooks(terminating(left), s.hooksFor(), timeout), timeout, err)
	if as < 0 && (verdict.Decision == Bad || isFinal(err)) {
		return Verdict{Decision: Good}, nil
	}
	return verdict, err
}

// isFinal tells an error that trying again does not mend, and that is not about a stored release.
func isFinal(err error) bool {
	problem := Problem{Temporary: true}
	if err != nil {
		problem = problemOf(err)
	}
	return !problem.Temporary && !problem.isOfJournal()
}

// beginHooks reads which hooks have run, where another run begins or this process has just come to it.
func (s *Syncer) beginHooks(ctx context.Context, listed listing, as int) error {
	of := runOf(listed.number, as)
	if s.memory.hooks.of == of { // people who go back once more begin it anew
		return nil
	}
	records, err := s.records(ctx)
	if err != nil {
		return err
	}
	s.memory.hooks = hooking{of: of, run: of}
	if noted := find(records, max(as, -as)); noted != nil {
		s.memory.hooks.done = noted.Outcome.Hooks
		if before := len(noted.Outcome.Left); as < 0 && before > 0 { // each way that people went adds one
			s.memory.hooks.run = fmt.Sprintf("%s-%d", of, before)
		}
	}
	return s.Cluster.EndHooks(ctx, slices.DeleteFunc(slices.Clone(listed.hooks), func(o manifests.Object) bool {
		return !slices.Contains(s.memory.hooks.done, o.ID())
	}))
}

// stopHooks ends the hooks of other runs: those of a release that was interrupted, and those of one that is gone back from.
// What a release that cannot be read had is not known, and must not keep people from going back.
func (s *Syncer) stopHooks(ctx context.Context, record manifests.Record, as int) ([]manifests.ID, error) {
	var jobs []manifests.ID
	for _, number := range slices.Compact([]int{max(as, -as), record.Number}) {
		listed, err := s.list(ctx, number)
		switch {
		case err == nil:
			jobs = manifests.Union(jobs, listed.jobs)
		case number == record.Number || !problemOf(err).isOfJournal():
			return nil, err
		}
	}
	if len(jobs) == 0 {
		return nil, nil
	}
	return s.Cluster.StopHooks(ctx, jobs, s.memory.hooks.run)
}

// noteHooks writes down which of jobs have run. Only then may those go that take themselves away.
func (s *Syncer) noteHooks(ctx context.Context, as int, jobs []manifests.Object, reports []manifests.Health) error {
	var complete []manifests.Object
	for i, report := range reports {
		if report.Good() {
			complete = append(complete, jobs[i])
		}
	}
	if len(complete) == 0 {
		return nil
	}
	records, err := s.records(ctx)
	if err != nil {
		return err
	}
	noted := find(records, max(as, -as))
	if noted == nil {
		return refusal{"ReleaseLost", fmt.Sprintf("release %d is not stored any more", max(as, -as))}
	}
	outcome := noted.Outcome
	outcome.Hooks = manifests.Union(outcome.Hooks, idsOf(complete))
	if err := s.Journal.Mark(ctx, noted.Number, outcome); err != nil {
		return err
	}
	s.memory.hooks.done = outcome.Hooks
	_ = s.Cluster.EndHooks(ctx, complete) // one that stays is deleted with the next release
	return nil
}

// hooksThatRan names those of the newest release: all of them once it was kept.
func (s *Syncer) hooksThatRan(ctx context.Context, state State) ([]manifests.ID, error) {
	if !state.Watching() {
		return s.memory.hooks.done, nil
	}
	listed, err := s.list(ctx, state.Newest.Number)
	return idsOf(listed.hooks), err
}

// hooksFor is how long the present hooks have been waited for; the first call begins that.
func (s *Syncer) hooksFor() time.Duration {
	h := &s.memory.hooks
	if h.begun.IsZero() {
		h.begun = s.Clock()
	}
	return h.took(s.Clock()) - h.from
}

// hooksOver ends the time of the present hooks.
func (s *Syncer) hooksOver() {
	h := &s.memory.hooks
	h.pause(s.Clock())
	h.from, h.running = h.spent, nil
}

// hooksOverdue answers the verdict on hooks, or the error that they met. One that may pass, and is no outage, decides when
// the time is over.
func (s *Syncer) hooksOverdue(verdict Verdict, timeout time.Duration, err error) (Verdict, error) {
	if err == nil {
		return verdict, nil
	}
	problem := problemOf(err)
	if !problem.Temporary || slices.Contains(outages, problem.Reason) || s.hooksFor() < timeout {
		return Verdict{Decision: Open}, err
	}
	return Verdict{Decision: Bad, Reason: hookFailed, Message: fmt.Sprintf("not complete within %s: %s", timeout, problem.Message)}, nil
}

// terminating is the health of Jobs that are to go before others can run.
func terminating(ids []manifests.ID) []manifests.Health {
	var reports []manifests.Health
	for _, id := range ids {
		reports = append(reports, manifests.Health{ID: id, Condition: manifests.Progressing, Reason: "Terminating",
			Message: "it was made for another release, and is being deleted"})
	}
	return reports
}
