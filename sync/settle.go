package sync

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// settle judges what is in the cluster, and sees to it that it is there. It reads the journal again, for advance
// may have started a release.
func (s *Syncer) settle(ctx context.Context, want Want, out *Outcome) (Verdict, error) {
	state, err := s.recall(ctx)
	if err != nil || state.Newest == nil {
		return Verdict{Decision: Open}, err
	}
	if state.Running() == nil {
		return Verdict{Decision: Open}, refusal{"ReleaseLost",
			fmt.Sprintf("release %d was rolled back, and the release to go back to is not stored any more; commit something to make a new one", state.Newest.Number)}
	}
	switch state.Newest.Outcome.Result {
	case manifests.Applying:
		return s.watch(ctx, want, state, out)
	case manifests.Failed:
		return s.hope(ctx, want, state, out)
	case manifests.RollingBack:
		return s.rollBack(ctx, want, state, out)
	case manifests.RollbackFailed:
		_, err := s.observe(ctx, looking{record: *state.Kept}, out)
		return Verdict{Decision: Open}, err
	}
	if state.Watching() {
		return s.watchOn(ctx, want, state, out)
	}
	return s.rest(ctx, want, state, out)
}

// watch judges a release under way, and ends it as kept or refused.
func (s *Syncer) watch(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	record := *state.Newest
	verdict, err := s.carry(ctx, want, state, record.Number, out)
	if err != nil {
		return verdict, err
	}
	switch verdict.Decision {
	case Good:
		verdict.Wait = want.Spec.Health.WatchFor.Duration
		return verdict, s.keep(ctx, want, record, out)
	case Bad:
		return s.refuse(ctx, want, state, verdict, out)
	}
	return verdict, nil
}

// carry writes the stored objects of the newest release, or of the one to go back to, if that is not done yet, judges
// them, and has the pods follow. As is as in write. An error leaves the question open, but one that is about an object
// is a verdict: at once if trying again cannot help, and otherwise when the time is over.
func (s *Syncer) carry(ctx context.Context, want Want, state State, as int, out *Outcome) (Verdict, error) {
	record := *state.Newest
	if as < 0 {
		record = *state.Kept
	}
	if s.memory.course.release != as {
		s.begin(as, state.Newest.Ailing)
	}
	verdict, err := s.runHooks(ctx, want, manifests.HookBefore, record, as)
	if err != nil {
		return s.lasting(want, err)
	}
	if verdict.Decision != Good {
		return verdict, nil
	}
	s.memory.hooks.pause(s.Clock()) // until all else is healthy again
	if _, err := s.write(ctx, want, record, as); err != nil {
		return s.unwritten(ctx, want, record, as, out, err)
	}
	reports, err := s.observe(ctx, looking{record: record, closely: true, back: as < 0}, out)
	if err != nil {
		return s.lasting(want, err)
	}
	switch verdict = s.judged(want, as, reports); verdict.Decision {
	case Open:
		err = s.Cluster.ReplacePods(ctx, s.memory.listed.ids, as < 0)
	case Good:
		verdict, err = s.runHooks(ctx, want, manifests.HookAfter, record, as)
	case Bad:
		if p := s.memory.progress; as < 0 && p.waiting && p.release == as {
			verdict = s.hasten(as)
		}
	}
	if err != nil {
		return s.lasting(want, err)
	}
	return verdict, nil
}

// hasten has the rest of a rollback written although what comes before it is not healthy: that may be so for want of it, and
// no rollback ends with objects of two releases. It is judged anew then.
func (s *Syncer) hasten(as int) Verdict {
	s.begin(as, s.memory.course.ailing)
	s.memory.course.hasty, s.memory.progress = true, progress{}
	return Verdict{Decision: Open, Reason: "Progressing", Message: "the waves that are left come now", Wait: time.Millisecond}
}

// unwritten is the verdict while not all of a release can be written. What is there may be bad already: where the backend of
// a webhook crashes, what that webhook refuses is not waited for.
func (s *Syncer) unwritten(ctx context.Context, want Want, record manifests.Record, as int, out *Outcome, err error) (Verdict, error) {
	if len(s.memory.progress.putOff.tiers) > 0 {
		reports, unseen := s.observe(ctx, looking{record: record, closely: true, back: as < 0}, out)
		if unseen != nil {
			return s.lasting(want, err)
		}
		if verdict := s.judged(want, as, reports); verdict.Decision == Bad && verdict.Reason != "TimedOut" {
			return verdict, nil
		}
	}
	return s.lasting(want, err)
}

// waited is how long a release has been waited for, without the time that its hooks took.
func (s *Syncer) waited() time.Duration {
	now := s.Clock()
	s.memory.course.hooks = s.memory.hooks.took(now)
	return s.memory.course.waited(now)
}

// outages are the reasons of errors that say nothing of a release: nobody is rolled back for them.
var outages = []string{"ClusterUnavailable", "WatchFailed", "Error"}

// lasting tells an error that decides on a release from one that leaves it open.
func (s *Syncer) lasting(want Want, err error) (Verdict, error) {
	problem := problemOf(err)
	left := want.Spec.Health.Timeout.Duration - s.waited()
	switch {
	case problem.isOfJournal():
		return Verdict{Decision: Open}, err
	case !problem.Temporary:
		return Verdict{Decision: Bad, Reason: problem.Reason, Message: problem.Message}, nil
	case slices.Contains(outages, problem.Reason) || left > 0:
		return Verdict{Decision: Open, Wait: max(left, 0)}, err
	}
	return Verdict{Decision: Bad, Reason: problem.Reason,
		Message: fmt.Sprintf("not applied within %s: %s", want.Spec.Health.Timeout.Duration, problem.Message)}, nil
}

// hope keeps an eye on a refused release that there was nothing to go back from: what becomes healthy late is kept
// all the same, if all of it is really there. It is not watched on then.
func (s *Syncer) hope(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	record := *state.Newest
	if barred, err := s.barred(ctx, record); err != nil || barred {
		return Verdict{Decision: Bad, Reason: record.Outcome.Reason, Message: record.Outcome.Message}, err
	}
	if s.memory.course.release != record.Number {
		s.begin(record.Number, record.Ailing)
	}
	s.memory.hooks.pause(s.Clock())
	if _, err := s.write(ctx, want, record, record.Number); err != nil {
		return Verdict{Decision: Open}, err
	}
	reports, err := s.observe(ctx, looking{record: record, closely: true}, out)
	if err != nil {
		return Verdict{Decision: Open}, err
	}
	verdict := s.judged(want, record.Number, reports)
	if verdict.Decision == Good && record.Outcome.Reason == hookFailed {
		return Verdict{Decision: Bad, Reason: record.Outcome.Reason, Message: record.Outcome.Message}, nil
	}
	if verdict.Decision == Good {
		verdict, err = s.runHooks(ctx, want, manifests.HookAfter, record, record.Number)
	}
	if err == nil && verdict.Decision == Good {
		want.Spec.Health.WatchFor.Duration = 0
		err = s.keep(ctx, want, record, out)
	}
	return verdict, err
}

// rest is where a Sync is nearly all of the time: the kept release runs. Drift is put right, and what could not
// be pruned before is tried again.
func (s *Syncer) rest(ctx context.Context, want Want, state State, out *Outcome) (Verdict, error) {
	verdict, record := Verdict{Decision: Open}, *state.Running()
	s.memory.course = course{} // what is at rest is judged by nothing that was, and there may be thousands of objects
	if err := s.correct(ctx, want, record, out); err != nil {
		return verdict, err
	}
	_, err := s.observe(ctx, looking{record: record}, out)
	if err == nil && !state.Newest.Outcome.Pruned {
		err = s.prune(ctx, want, state.Newest, record.Number, out)
	}
	if err == nil {
		err = s.memory.fights.problem(s.Name, s.Namespace)
	}
	return verdict, err
}

// correct puts right what has drifted from a kept release.
func (s *Syncer) correct(ctx context.Context, want Want, record manifests.Record, out *Outcome) error {
	corrected, err := s.write(ctx, want, record, record.Number)
	if err == nil && len(corrected) > 0 {
		out.Events = append(out.Events, normal("DriftCorrected", "put back as release %d has it: %s",
			record.Number, manifests.Names(corrected, 5)))
	}
	return err
}

// looking is how a release is looked at.
type looking struct {
	record  manifests.Record
	closely bool // with the pods behind its objects, and without blame for what ailed before: it is judged
	back    bool // it is written to roll back
}

// observe asks how the objects of a release are.
func (s *Syncer) observe(ctx context.Context, l looking, out *Outcome) ([]manifests.Health, error) {
	listed, err := s.list(ctx, l.record.Number)
	if err != nil {
		return nil, err
	}
	expected := listed.expected(l.record.Outcome.HasRun())
	// Hooks are asked for as well, since pods are watched in the namespaces of what is.
	reports, err := s.Cluster.Health(ctx, slices.Concat(expected, s.memory.hooks.running), l.closely)
	if err != nil {
		return nil, err
	}
	reports = reports[:len(expected)]
	if l.closely {
		begun, _ := s.memory.progress.begun(s.memory.course.release, listed, reports)
		reports = s.memory.course.spared(s.memory.course.answered(reports, begun, s.Clock()))
	} else {
		for i, report := range reports {
			reports[i] = unattended(report)
		}
	}
	if l.back {
		reports = s.memory.course.inherited(hurried(reports))
	}
	out.Reports = reports
	return reports, nil
}

// hurried has a deadline for what waits for people: nothing newer is looked at before a rollback has ended.
func hurried(reports []manifests.Health) []manifests.Health {
	hurried := slices.Clone(reports)
	for i, report := range reports {
		if report.Bearing == manifests.Patient {
			hurried[i].Bearing, hurried[i].Condition = manifests.Usual, manifests.Progressing
			hurried[i].Reason = cmp.Or(report.Reason, string(report.Condition))
		}
	}
	return hurried
}

// judged judges a release by its course. While a wave waits, the objects before it are judged.
func (s *Syncer) judged(want Want, as int, reports []manifests.Health) Verdict {
	now, p := s.Clock(), s.memory.progress
	s.memory.course.hooks = s.memory.hooks.took(now)
	begun, whole := p.begun(as, s.memory.listed, reports)
	s.memory.course.note(begun, whole, now)
	if p.waiting && p.release == as && allHealthy(begun) {
		return Verdict{Decision: Open, Reason: "Progressing", Message: "the next wave comes now", Wait: time.Millisecond}
	}
	return judge(begun, s.memory.course.moment(now), patienceOf(want))
}

func patienceOf(want Want) patience {
	return patience{timeout: want.Spec.Health.Timeout.Duration, stableFor: want.Spec.Health.StableFor.Duration}
}
