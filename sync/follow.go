package sync

import (
	"context"
	"hash/fnv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// remember notes for Follow what was resolved: the tags are looked at again once the oldest of the answers is an interval
// old.
func (s *Syncer) remember(images []manifests.Image, found pinning) {
	var tags []manifests.Image
	for _, image := range images {
		if !manifests.HasDigest(image.Image) {
			tags = append(tags, image)
		}
	}
	s.memory.images, s.memory.resolved = bare(tags), found.pins
	s.memory.followed = oldest(s.memory.images, found.resolved, s.Clock())
}

// follow looks at the tags again, where the Sync follows them and it is time to. One that has moved makes the decision on
// the wanted commit void.
//
// An answer not older than the interval is good enough, whichever Sync it was given to. Since each looks again when the
// oldest of its answers is an interval old, Syncs that share images come to share the looks as well: the first that is
// due asks, and for the others the answer is new.
func (s *Syncer) follow(ctx context.Context, want Want) {
	now := s.Clock()
	if want.Spec.Images.Resolve != v1alpha1.ResolveFollow || len(s.memory.images) == 0 || s.nextFollow(want, now) > 0 {
		return
	}
	request := PinRequest{Images: s.memory.images, Since: now.Add(-s.interval(want)), Again: true}
	pins, resolved, err := s.Resolver.Pin(ctx, request)
	if err == nil {
		s.memory.followed, s.memory.following = oldest(s.memory.images, resolved, s.Clock()), failures{}
	} else {
		s.postpone(err, now, s.interval(want))
		if _, down := outOfReachAll(err); !down || want.Spec.Images.OnFailure != v1alpha1.OnFailureUseLast {
			return // nothing can start
		}
	}
	for image, pin := range pins {
		if s.memory.resolved[image] != pin {
			s.memory.built = input{} // what is built takes the same answers, for they are newer than the commit
		}
	}
}

// postpone notes that the tags could not be looked at. What belay itself only puts off is nobody's problem, and what trying
// again will not help is looked at in an interval.
func (s *Syncer) postpone(err error, now time.Time, interval time.Duration) {
	problem := serious(err)
	if problem != nil {
		err = imageProblem(problem, s.memory.images, nil)
	}
	if told := s.memory.following.add(err, now); !told.Temporary {
		s.memory.following.until = later(s.memory.following.until, now.Add(interval))
	}
	s.memory.following.quiet = problem == nil
}

// nextFollow is how long there is until the next look at the tags.
func (s *Syncer) nextFollow(want Want, now time.Time) time.Duration {
	if len(s.memory.images) == 0 {
		return time.Hour // there is nothing to look at, or not before something is built
	}
	if s.memory.following.last != nil {
		return s.memory.following.until.Sub(now)
	}
	return s.memory.followed.Add(s.interval(want)).Sub(now)
}

// interval is how old what is known of tags may become: spec.images.interval and up to a tenth more, so that Syncs with
// other images do not all ask at once. It is never less: of the Syncs that share an image, the one with the shortest
// interval asks for it.
func (s *Syncer) interval(want Want) time.Duration {
	interval := max(want.Spec.Images.Interval.Duration, time.Second)
	return interval + time.Duration(float64(interval/10)*s.share())
}

// share is a number from 0 to 1 that differs from Sync to Sync, and stays the same.
func (s *Syncer) share() float64 {
	hash := fnv.New32a()
	hash.Write([]byte(s.Namespace + "/" + s.Name))
	return float64(hash.Sum32()) / (1 << 32)
}

// oldest is when the oldest of the answers was given that registries gave for images. What was taken from an earlier
// release is no answer: it counts as if it had been asked for now, and so does what nobody says the time of.
func oldest(images []manifests.Image, resolved map[string]manifests.Resolution, now time.Time) time.Time {
	first := now
	for _, image := range images {
		r := resolved[image.Image]
		if r.Release == 0 && !r.At.IsZero() && r.At.Before(first) {
			first = r.At
		}
	}
	return first
}

// bare is images with no more of their objects than the names: what is remembered from look to look must not hold on to
// whole releases.
func bare(images []manifests.Image) []manifests.Image {
	named := map[manifests.ID]manifests.Object{}
	list := make([]manifests.Image, len(images))
	for i, image := range images {
		id := image.Object.ID()
		if _, ok := named[id]; !ok {
			u := &unstructured.Unstructured{}
			u.SetGroupVersionKind(image.Object.GroupVersionKind())
			u.SetNamespace(id.Namespace)
			u.SetName(id.Name)
			object, err := manifests.NewObject(u, image.Object.File)
			if err != nil {
				object = image.Object // it was an object before, so its names are good
			}
			named[id] = object
		}
		list[i] = image
		list[i].Object = named[id]
	}
	return list
}
