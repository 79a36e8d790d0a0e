package sync

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// Lost is an image that a stored release needs, and that its registry does not have any more.
type Lost struct {
	Image   string // as Git has it
	Digest  string // "sha256:…"
	Release int    // the first to need it: the one that runs, or the one that would be gone back to
}

// checking is how far the looking for lost images is.
type checking struct {
	due     time.Time // zero before the first pass
	running int       // the release that ran at the last look
	since   time.Time // how old an answer could be then
	lost    []Lost    // what it found
}

// atOnce tells that what was told as lost is to be looked for now, and that older answers do not count: somebody asks, who
// may have pushed it again, or another release runs.
func (c checking) atOnce(running int, told, asked bool) bool {
	return told && (asked || c.running != running)
}

// next follows when it looks every so often. What any Sync was answered within half of that time will do, or each of a
// thousand would ask for the images that they share.
func (c checking) next(now time.Time, every time.Duration, running int, atOnce bool) checking {
	c.due, c.running, c.since = now.Add(every-every/10+rand.N(every/5+1)), running, now
	if !atOnce {
		c.since = now.Add(-every / 2)
	}
	return c
}

// checkImages asks registries now and then for the digests of the release that runs and of the one that would be gone
// back to, so that one that is gone is told before somebody needs it. After a start that is at some time within the
// interval, so that a thousand Syncs do not ask all at once.
func (s *Syncer) checkImages(ctx context.Context, want Want, out *Outcome) {
	if s.CheckImages <= 0 {
		out.Checked = want.Lost // nobody would ever take it back
		return
	}
	if c := s.memory.checking; !c.due.IsZero() && !want.Lost && s.Clock().Before(c.due) {
		return // as below, without reading anything
	}
	records, err := s.records(ctx)
	if err != nil {
		return
	}
	releases := needed(records)
	if len(releases) == 0 {
		return
	}
	now, running, c := s.Clock(), releases[0].Number, &s.memory.checking
	if c.due.IsZero() {
		c.due, c.running = now.Add(rand.N(s.CheckImages)), running
	}
	atOnce := c.atOnce(running, want.Lost, want.Poll && out.Looked)
	if !atOnce && now.Before(c.due) {
		return
	}
	*c = c.next(now, s.CheckImages, running, atOnce)
	s.lookForLost(ctx, want, releases, out)
}

// needed is the release that runs and the one that would be gone back to.
func needed(records []manifests.Record) []manifests.Record {
	running := StateOf(records).Running()
	if running == nil {
		return nil
	}
	releases := []manifests.Record{*running}
	if target, err := Target(records, 0); err == nil {
		releases = append(releases, target)
	}
	return releases
}

// lookForLost asks for the digests that releases need. A release that cannot be read and a registry that does not answer
// say nothing of them.
func (s *Syncer) lookForLost(ctx context.Context, want Want, records []manifests.Record, out *Outcome) {
	places, err := imagePlaces(s.Places, want.Spec.Images.Paths)
	if err != nil {
		return
	}
	var images []manifests.Image
	var releases []manifests.Release
	for _, record := range records {
		release, err := s.Journal.Load(ctx, record.Number)
		if err != nil {
			return
		}
		releases = append(releases, release)
		images = append(images, pinnedImages(release, places)...)
	}
	var missing []string
	if len(images) > 0 {
		missing, err = s.Resolver.Missing(ctx, PinRequest{Images: images, Since: s.memory.checking.since})
	}
	lost := lostOf(releases, missing)
	if err != nil {
		if lost = append(lost, unanswered(s.memory.checking.lost, releases, err)...); len(lost) == 0 {
			return // what was said before stands
		}
	}
	s.memory.checking.lost = lost
	out.Checked, out.Lost = true, lost
	if len(lost) > 0 && !want.Lost {
		out.Events = append(out.Events, warning(digestGone, "%s", tellLost(lost)))
	}
}

// pinnedImages are the images of a stored release that have the digests it was pinned to.
func pinnedImages(release manifests.Release, places []manifests.Place) []manifests.Image {
	pins := slices.Collect(maps.Values(release.Pins))
	return slices.DeleteFunc(release.Objects.Images(places), func(image manifests.Image) bool { return !slices.Contains(pins, image.Image) })
}

// lostOf says which images of releases it is whose pins are missing, each once.
func lostOf(releases []manifests.Release, missing []string) []Lost {
	var lost []Lost
	for _, release := range releases {
		for _, image := range slices.Sorted(maps.Keys(release.Pins)) {
			pin := release.Pins[image]
			l := Lost{image, digestOf(pin), release.Number}
			isTold := func(o Lost) bool { return o.Image == l.Image && o.Digest == l.Digest }
			if slices.Contains(missing, pin) && !slices.ContainsFunc(lost, isTold) {
				lost = append(lost, l)
			}
		}
	}
	return lost
}

// unanswered is what of the images that were lost the last time could not be asked for now.
func unanswered(before []Lost, releases []manifests.Release, why error) []Lost {
	faults, _ := imageFaults(why)
	var pins []string
	for _, fault := range faults {
		pins = append(pins, fault.Subject())
	}
	return slices.DeleteFunc(lostOf(releases, pins), func(l Lost) bool {
		return !slices.ContainsFunc(before, func(b Lost) bool { return b.Image == l.Image && b.Digest == l.Digest })
	})
}

// digestGone is the reason of the condition, and of the event.
const digestGone = "DigestGone"

// tellLost says what is lost, and what to do about it.
func tellLost(lost []Lost) string {
	const most = 3
	var list []string
	for _, l := range lost[:min(most, len(lost))] {
		list = append(list, fmt.Sprintf("%s (%s, which release %d needs)", l.Image, l.Digest, l.Release))
	}
	if more := len(lost) - most; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return "no registry has these images any more, so that no other node can start them: " + strings.Join(list, ", ") +
		". Push them again, and keep what is deployed from the registry's garbage collection; belay sync looks again"
}

// digestOf is the digest of a pin.
func digestOf(pin string) string {
	_, digest, _ := strings.Cut(pin, "@")
	return digest
}
