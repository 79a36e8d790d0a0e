package sync

import (
	"context"

	"github.com/belay-gitops/belay/manifests"
)

// progress is how far the writing of a release has come whose waves wait for each other.
type progress struct {
	release int  // as in memory.written
	waiting bool // until all before the wave are healthy
	wave    int
}

// begun is the reports on objects of a release whose wave has come.
func (p progress) begun(as int, listed listing, reports []manifests.Health) []manifests.Health {
	if !p.waiting || p.release != as {
		return reports
	}
	return listed.before(p.wave, reports)
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
		if ready, err := s.isHealthyBefore(ctx, record.Number, p.wave, record.Outcome.WasKept()); err != nil || !ready {
			return nil, err
		}
	}
	release, err := s.Journal.Load(ctx, record.Number)
	if err != nil {
		return nil, err
	}
	objects, err := s.missing(ctx, release, record)
	if err != nil {
		return nil, err
	}
	wasKept := record.Outcome.WasKept()
	w := writing{release: release, as: as, insist: true, patient: !wasKept || as < 0, wasKept: wasKept}
	written, err = s.apply(ctx, w, objects)
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
	if record.Outcome.WasKept() {
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
	wasKept bool // see listing.expected
}

// apply writes wave after wave, each tier by tier. What a wave waits for is left for a later pass; once nothing is
// left, the release is written.
func (s *Syncer) apply(ctx context.Context, w writing, objects []manifests.Object) (written []manifests.ID, err error) {
	s.memory.progress = progress{}
	first := firstWave(w.release.Objects)
	for _, wave := range plan(w.release, objects).Waves {
		if w.patient && wave.Number > first {
			ready, err := s.isHealthyBefore(ctx, w.release.Number, wave.Number, w.wasKept)
			if err != nil || !ready {
				s.memory.progress = progress{release: w.as, waiting: true, wave: wave.Number}
				return written, err
			}
		}
		for _, tier := range wave.Tiers {
			if err := s.Cluster.Apply(ctx, tier, w.insist); err != nil {
				return written, err
			}
			for _, o := range tier {
				written = append(written, o.ID())
			}
		}
	}
	s.memory.written = w.as
	return written, nil
}

// isHealthyBefore tells whether all objects of a release that come before a wave, and are expected, are healthy.
func (s *Syncer) isHealthyBefore(ctx context.Context, release, wave int, wasKept bool) (bool, error) {
	listed, err := s.list(ctx, release)
	if err != nil {
		return false, err
	}
	// All objects are asked for, since pods are watched in the namespaces of those that are.
	reports, err := s.Cluster.Health(ctx, listed.expected(wasKept), true)
	if err != nil {
		return false, err
	}
	return allHealthy(listed.before(wave, s.memory.course.spared(reports))), nil
}
