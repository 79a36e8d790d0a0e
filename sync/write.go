package sync

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// progress is how far the writing of a release has come whose waves wait for each other.
type progress struct {
	release int  // as in memory.written
	waiting bool // until all before the wave are healthy
	wave    int  // that waits, or that something of is put off
	putOff  putOff
}

// putOff is what of a wave is left to write since something that it needs does not answer yet: a webhook's backend, an API
// server, or a CRD. It is written alone, without trying all else again.
type putOff struct {
	tiers    [][]manifests.Object // what was put off, and then what has to come after it
	more     bool                 // there are other waves to come
	failures failures
}

// begun is the reports on those objects of a release that have been written, and whether they are all of them. How others
// are says nothing of it: they may be there as an earlier release had them.
func (p progress) begun(as int, listed listing, reports []manifests.Health) (begun []manifests.Health, whole bool) {
	switch {
	case p.release != as:
		return reports, true
	case p.waiting:
		return listed.before(p.wave, reports), false
	case len(p.putOff.tiers) == 0:
		return reports, true
	case p.putOff.more:
		reports = listed.before(p.wave+1, reports)
	}
	left := manifests.Index(idsOf(slices.Concat(p.putOff.tiers...)))
	return slices.DeleteFunc(slices.Clone(reports), func(h manifests.Health) bool { return left[h.ID] }), false
}

// write sees to it that the stored objects of a release are in the cluster, once in this process and again after
// drift. As is the mark of having done so: the release's number, negative when it is written to roll back. It answers
// what it wrote. Objects that somebody fights for are left alone.
func (s *Syncer) write(ctx context.Context, want Want, record manifests.Record, as int) (written []manifests.ID, err error) {
	if want.Retry && s.memory.fights.endedBy != want.RetryAt {
		s.memory.fights = fights{endedBy: want.RetryAt}
	}
	p := s.memory.progress
	waits := p.waiting && p.release == as
	if s.memory.written == as || !waits && s.memory.fights.pausing(s.Clock()) {
		return nil, nil
	}
	if waits {
		if ready, err := s.isHealthyBefore(ctx, record.Number, p.wave, record.Outcome.HasRun()); err != nil || !ready {
			return nil, err
		}
	}
	if len(p.putOff.tiers) > 0 && p.release == as {
		return s.writePutOff(ctx, as)
	}
	release, err := s.Journal.Load(ctx, record.Number)
	if err != nil {
		return nil, err
	}
	objects, err := s.missing(ctx, release, record)
	if err != nil {
		return nil, err
	}
	hasRun := record.Outcome.HasRun()
	w := writing{release: release, as: as, insist: true, patient: (!hasRun || as < 0) && !s.memory.course.hasty, hasRun: hasRun}
	written, err = s.apply(ctx, w, objects)
	if s.memory.written != as {
		s.memory.fights.until = time.Time{} // in a pause it is judged as if all were written
	}
	s.memory.fights.note(written, s.Clock())
	return written, err
}

// missing is what of a release is to be written: what differs in the cluster, but for Jobs that have run and objects
// that are fought for.
func (s *Syncer) missing(ctx context.Context, release manifests.Release, record manifests.Record) ([]manifests.Object, error) {
	changes, err := s.Cluster.Differing(ctx, release.Objects, true)
	if err != nil {
		return nil, err
	}
	missing := without(changes.Objects, release.Done)
	if record.Outcome.HasRun() {
		missing = without(missing, passing(release.Objects))
	}
	return s.memory.fights.peaceful(missing, changes.Contended, s.Clock()), nil
}

// writing is how objects of a release are written.
type writing struct {
	release manifests.Release
	as      int  // see write
	insist  bool // take back what others hold
	patient bool // let each wave wait until all before it is healthy
	hasRun  bool // see listing.expected
}

// apply writes wave after wave, each tier by tier. What a wave waits for is left for a later pass; once nothing is
// left, the release is written.
func (s *Syncer) apply(ctx context.Context, w writing, objects []manifests.Object) (written []manifests.ID, err error) {
	s.memory.progress = progress{}
	first := firstWave(w.release.Objects)
	waves := plan(w.release, objects).Waves
	for i, wave := range waves {
		if w.patient && wave.Number > first {
			ready, err := s.isHealthyBefore(ctx, w.release.Number, wave.Number, w.hasRun)
			if err != nil || !ready {
				s.memory.progress = progress{release: w.as, waiting: true, wave: wave.Number}
				return written, err
			}
		}
		wrote, left, err := s.applyTiers(ctx, wave.Tiers, w.insist)
		written = append(written, wrote...)
		if len(left) > 0 {
			s.memory.progress = progress{release: w.as, wave: wave.Number, putOff: putOff{tiers: left, more: i+1 < len(waves)}}
			s.memory.progress.putOff.failures.add(err, s.Clock())
		}
		if err != nil {
			return written, err
		}
	}
	s.memory.written = w.as
	return written, nil
}

// applyTiers writes one tier after the other. What is put off holds up nothing but, where a kind is not known yet, the
// tier of webhooks: those would be in its way. It is left, with what was held up; the error says why.
func (s *Syncer) applyTiers(ctx context.Context, tiers [][]manifests.Object, insist bool) (written []manifests.ID, left [][]manifests.Object, err error) {
	var off []manifests.Object
	unknown := false
	for i, objects := range tiers {
		if unknown && tier(objects[0].ID().GroupKind()) == admissionTier {
			return written, slices.Concat([][]manifests.Object{off}, tiers[i:]), err
		}
		putOff, refusal := s.Cluster.Apply(ctx, objects, insist)
		s.memory.course.write(idsOf(objects))
		if refusal != nil && len(putOff) == 0 {
			return written, nil, refusal
		}
		if refusal != nil {
			unknown = unknown || problemOf(refusal).Reason == unknownKind
			off, err = append(off, putOff...), cmp.Or(err, refusal)
		}
		written = append(written, manifests.Without(idsOf(objects), idsOf(putOff))...)
	}
	if len(off) > 0 {
		left = [][]manifests.Object{off}
	}
	return written, left, err
}

// unknownKind is the reason for which an object of a CRD that is not established is refused.
const unknownKind = "UnknownKind"

// longestPutOff is how long an object that was put off waits for its next try at most: what it waits for is mostly a pod
// of the same release.
const longestPutOff = 10 * time.Second

// writePutOff tries again what was put off, when it is time to.
func (s *Syncer) writePutOff(ctx context.Context, as int) (written []manifests.ID, err error) {
	off := s.memory.progress.putOff
	if off.failures.waiting(s.Clock()) {
		return nil, stillPutOff{*off.failures.last}
	}
	written, left, err := s.applyTiers(ctx, off.tiers, true)
	switch {
	case len(left) > 0:
		s.memory.progress.putOff.tiers = left
		failures := &s.memory.progress.putOff.failures
		failures.add(err, s.Clock())
		if latest := s.Clock().Add(longestPutOff); failures.until.After(latest) {
			failures.until = latest
		}
		return written, err
	case err != nil || off.more:
		s.memory.progress = progress{} // it is found anew what is left
		return written, err
	}
	s.memory.progress, s.memory.written = progress{}, as
	return written, nil
}

// stillPutOff says again why something is put off.
type stillPutOff struct{ Problem }

func (p stillPutOff) Error() string { return p.Message }

// Describe implements selfDescribing.
func (p stillPutOff) Describe() (string, bool, time.Duration) { return p.Reason, p.Temporary, 0 }

// isHealthyBefore tells whether all objects of a release that come before a wave, and are expected, are healthy. A rollback
// waits for none but those that it has written: others may need what is still to come.
func (s *Syncer) isHealthyBefore(ctx context.Context, release, wave int, hasRun bool) (bool, error) {
	listed, err := s.list(ctx, release)
	if err != nil {
		return false, err
	}
	// All objects are asked for, since pods are watched in the namespaces of those that are.
	reports, err := s.Cluster.Health(ctx, listed.expected(hasRun), true)
	if err != nil {
		return false, err
	}
	before := listed.before(wave, s.memory.course.spared(reports))
	before = s.memory.course.answered(before, before, s.Clock())
	if c := s.memory.course; c.release < 0 {
		before = slices.DeleteFunc(before, func(h manifests.Health) bool { return !c.wrote[h.ID] })
	}
	return allHealthy(before), nil
}
