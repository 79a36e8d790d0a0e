package sync

import (
	"cmp"
	"slices"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// course is how a release has fared since it was written, as passes saw it, and as watches did between them. A restart
// of the agent begins it anew, so that no clock but this process's counts.
type course struct {
	release int       // as in memory.written; 0 for none
	begun   time.Time // when writing began
	// ailing are objects that had failed before the release came, which does not change them, until they are healthy.
	ailing []manifests.ID
	wrote  map[manifests.ID]bool // in it, by this process
	hasty  bool                  // no wave waits any more: see Syncer.hasten

	seen   time.Time     // the last pass
	people bool          // people alone were waited for then
	stood  time.Duration // for how long people alone were waited for, in all, also to end a suspension
	hooks  time.Duration // for how long hooks were
	isCalm bool          // all was healthy then, or people alone were waited for
	calm   time.Duration // see moment
	steady time.Time     // since when all is healthy; zero if it is not

	good  map[manifests.ID]time.Time // of healthy objects: since when, as far as that is known
	ill   map[manifests.ID]time.Time // of the others, but for those that wait for people: since when passes saw them so
	fails map[manifests.ID]time.Time // of those that have failed, likewise
	mute  map[manifests.ID]time.Time // see answered
	flaps map[manifests.ID]int       // see moment
}

// begin starts the time in which a release has to become healthy.
func (s *Syncer) begin(as int, ailing []manifests.ID) {
	s.memory.course = course{release: as, begun: s.Clock(), ailing: ailing,
		good: map[manifests.ID]time.Time{}, ill: map[manifests.ID]time.Time{}, fails: map[manifests.ID]time.Time{},
		mute: map[manifests.ID]time.Time{}, flaps: map[manifests.ID]int{}, wrote: map[manifests.ID]bool{}}
	s.memory.fights = fights{}
}

// resume takes the time in which the Sync was suspended, and nothing was looked at or written, off all that is waited for.
func (s *Syncer) resume() {
	if s.memory.suspended.IsZero() {
		return
	}
	away := s.Clock().Sub(s.memory.suspended)
	c := &s.memory.course
	if !c.people { // else it is noted with the rest of their time
		c.stood += away
	}
	for _, since := range []map[manifests.ID]time.Time{c.ill, c.fails} {
		for id := range since {
			since[id] = since[id].Add(away)
		}
	}
	c.steady = time.Time{}
	if h := &s.memory.hooks; !h.begun.IsZero() {
		h.begun = h.begun.Add(away)
	}
	s.memory.vigil.since = s.memory.vigil.since.Add(away)
	s.memory.suspended = time.Time{}
}

// waited is the time that a release has had, without that in which people alone were waited for, or hooks.
func (c *course) waited(now time.Time) time.Duration { return max(now.Sub(c.begun)-c.stood-c.hooks, 0) }

// note notes how the objects are. Where only those of the first waves are known, whole is false: that they are
// healthy is no calm of the release.
func (c *course) note(reports []manifests.Health, whole bool, now time.Time) {
	if c.people {
		c.stood += now.Sub(c.seen)
	}
	healthy, since := true, time.Time{}
	for _, report := range reports {
		if !report.Bad() {
			delete(c.fails, report.ID)
		} else if c.fails[report.ID].IsZero() {
			c.fails[report.ID] = now
		}
		if !report.Good() {
			healthy = false
			c.lost(report, now)
			continue
		}
		if c.found(report, now); report.Since.After(since) {
			since = report.Since
		}
	}
	switch {
	case !healthy:
		c.steady = time.Time{}
	case c.steady.IsZero():
		c.steady = now
	case since.After(c.steady):
		c.steady = since
	}
	t := tallyOf(reports, nil)
	c.seen, c.people = now, len(t.people) > 0 && len(t.pending) == 0
	wasCalm := c.isCalm // up to now, for otherwise there would have been a pass
	if c.isCalm = whole && (healthy || c.people); c.isCalm || wasCalm {
		c.calm = c.waited(now)
	}
}

// lost notes an object that is not healthy.
func (c *course) lost(report manifests.Health, now time.Time) {
	if _, was := c.good[report.ID]; was {
		c.flaps[report.ID]++
		delete(c.good, report.ID)
	}
	if report.Bearing == manifests.Patient {
		delete(c.ill, report.ID)
	} else if c.ill[report.ID].IsZero() {
		c.ill[report.ID] = now
	}
}

// found notes a healthy object. One that watches saw become healthy since it was seen so has not been healthy all the
// time.
func (c *course) found(report manifests.Health, now time.Time) {
	delete(c.ill, report.ID)
	since, was := c.good[report.ID]
	switch {
	case was && report.Since.After(since):
		c.flaps[report.ID]++
		c.good[report.ID] = report.Since
	case !was && report.Since.IsZero():
		c.good[report.ID] = now
	case !was:
		c.good[report.ID] = report.Since
	}
}

// moment is where the release stands.
func (c *course) moment(now time.Time) moment {
	m := moment{waited: c.waited(now), calm: c.calm, flaps: c.flaps, failing: c.failing(now)}
	if !c.steady.IsZero() {
		m.stable = now.Sub(c.steady)
	}
	return m
}

// failing is for how long objects have failed.
func (c *course) failing(now time.Time) map[manifests.ID]time.Duration {
	failing := map[manifests.ID]time.Duration{}
	for id, since := range c.fails {
		failing[id] = now.Sub(since)
	}
	return failing
}

// write notes that objects were written: since then at most all is healthy. A rollback is judged by what it writes,
// whatever ailed before the release that is gone back from.
func (c *course) write(ids []manifests.ID) {
	c.steady = time.Time{}
	if c.release < 0 {
		c.ailing = manifests.Without(c.ailing, ids)
	}
	for _, id := range ids {
		if c.wrote != nil {
			c.wrote[id] = true
		}
	}
}

// inherited has a deadline for what has failed and is not written by a rollback: it failed for what the refused release has
// put beside it, a ConfigMap or a NetworkPolicy, and may be mended now that this is put back.
func (c *course) inherited(reports []manifests.Health) []manifests.Health {
	inherited := slices.Clone(reports)
	for i, report := range reports {
		if report.Bad() && !c.wrote[report.ID] {
			inherited[i].Condition = manifests.Progressing
			inherited[i].Reason = cmp.Or(report.Reason, string(report.Condition))
		}
	}
	return inherited
}

// spared takes from objects that ailed before the release came what they mean for it, until they are healthy.
func (c *course) spared(reports []manifests.Health) []manifests.Health {
	if len(c.ailing) == 0 {
		return reports
	}
	spared, ailing := slices.Clone(reports), manifests.Index(c.ailing)
	var mended []manifests.ID
	for i, report := range reports {
		switch {
		case !ailing[report.ID]:
		case report.Condition == manifests.Healthy:
			mended = append(mended, report.ID)
		default:
			spared[i].Bearing = manifests.None
			spared[i].Message = "it had failed before this release, which does not change it; " + report.Message
		}
	}
	c.ailing = manifests.Without(c.ailing, mended)
	return spared
}

// muteFor is how long a custom resource may be without a status, once no workload of its release is on its way, until
// it is taken for one that nobody looks after: its controller may not be installed, or has nothing to say of it. Most
// controllers answer within a second or two of their start.
const muteFor = 30 * time.Second

// answered takes from objects that nobody has given a status what they mean for the release, once that has been so for
// muteFor. Begun is the reports on what of the release has been written.
func (c *course) answered(reports, begun []manifests.Health, now time.Time) []manifests.Health {
	awaited := slices.ContainsFunc(begun, func(h manifests.Health) bool {
		return manifests.IsWorkload(h.ID.GroupKind()) && !h.Good() && !h.Bad()
	})
	answered := slices.Clone(reports)
	for i, report := range reports {
		since, was := c.mute[report.ID]
		over := was && now.Sub(since) >= muteFor
		switch {
		case report.Reason != manifests.ReasonNoStatus, awaited && !over:
			delete(c.mute, report.ID)
		case over:
			answered[i] = unattended(report)
		default:
			if !was {
				c.mute[report.ID], since = now, now
			}
			answered[i].Again = muteFor - now.Sub(since)
		}
	}
	return answered
}

// unattended is the report on an object that is not waited for since nobody looks after it.
func unattended(report manifests.Health) manifests.Health {
	if report.Reason == manifests.ReasonNoStatus {
		report.Bearing = manifests.None
		report.Message += "; it is not waited for, as there may be none"
	}
	return report
}
