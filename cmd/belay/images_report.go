package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/registry"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/cluster"
)

// imagesReport is what `belay images -o json` prints. Fields may be added to it; none is taken away or changes its
// meaning.
type imagesReport struct {
	Namespace string          `json:"namespace"` // of the Sync
	Name      string          `json:"name"`
	Release   int             `json:"release"` // the one that runs
	Commit    string          `json:"commit"`  // its commit, in full
	Images    []imageReport   `json:"images"`
	Unpinned  []unpinnedImage `json:"unpinned"`
}

// imageReport is one image of the release, as Git has it.
type imageReport struct {
	Image  string `json:"image"`  // ghcr.io/acme/cart:2.0
	Digest string `json:"digest"` // what it was resolved to: sha256: and 64 hex digits
	Runs   string `json:"runs"`   // what the objects have instead: ghcr.io/acme/cart@sha256:…
	// ResolvedAt is when the registry said so; left out where Git has the digest itself.
	ResolvedAt *time.Time `json:"resolvedAt,omitempty"`
	// FromRelease is the release whose digest was taken since the registry was down; left out otherwise.
	FromRelease int `json:"fromRelease,omitempty"`
	// Credentials names those that the registry was shown; left out without any.
	Credentials string `json:"credentials,omitempty"`
	// Missing says that the registry does not have the digest any more, as far as the agent knows.
	Missing bool `json:"missing,omitempty"`
	// Tag is what the tag stands for now; left out where that was not asked for.
	Tag  *tagReport  `json:"tag,omitempty"`
	Pods []podReport `json:"pods"`
}

// tagReport is what a registry says of a tag now.
type tagReport struct {
	State  tagState  `json:"state"`
	Digest string    `json:"digest,omitempty"` // where it is known
	Reason string    `json:"reason,omitempty"` // why it is not
	At     time.Time `json:"at"`               // when it was asked for
}

// tagState says in a word whether a tag still stands for what runs.
type tagState string

const (
	tagUnchanged tagState = "Unchanged"
	tagMoved     tagState = "Moved"
	tagUnknown   tagState = "Unknown"
	tagNone      tagState = "None" // Git has the digest itself
)

// podReport is a container of a pod that is there for the image, or an image volume of it.
type podReport struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Node      string `json:"node,omitempty"`
	Container string `json:"container"` // its name, or "volume NAME"
	Image     string `json:"image"`     // as the pod's spec has it
	// ImageID is what the node calls what runs, in its runtime's words: the digest that was asked for, or one platform's.
	ImageID string   `json:"imageID,omitempty"`
	State   podState `json:"state"`
}

// podState says in a word whether a pod has the image's digest.
type podState string

const (
	podRuns    podState = "Runs"    // the digest
	podWaits   podState = "Waits"   // its spec has the digest, and it has not started
	podAnother podState = "Another" // it has something else where the release has this image
)

// unpinnedImage is an image that runs as it is written.
type unpinnedImage struct {
	Object string `json:"object"`
	Where  string `json:"where"`
	Image  string `json:"image"`
	Reason string `json:"reason"`
}

// newImagesReport is what a Sync's status and the release that runs tell. Without a release, whose Secrets not everybody
// may read, the status alone tells of the images.
func newImagesReport(s *v1alpha1.Sync, release *manifests.Release) imagesReport {
	report := imagesReport{Namespace: s.Namespace, Name: s.Name, Images: []imageReport{}, Unpinned: []unpinnedImage{}}
	if release != nil {
		report.Release, report.Commit = release.Number, release.Commit.Hash
	} else if s.Status.Deployed != nil {
		report.Release, report.Commit = s.Status.Deployed.Release, s.Status.Deployed.Commit
	}
	if release == nil {
		for _, pinned := range s.Status.Images {
			report.Images = append(report.Images, reportOfStatus(pinned))
		}
	} else {
		for _, image := range slices.Sorted(maps.Keys(release.Pins)) {
			report.Images = append(report.Images, reportOfPin(image, *release, s.Status.Images))
		}
	}
	for _, u := range s.Status.Unpinned {
		report.Unpinned = append(report.Unpinned, unpinnedImage(u))
	}
	return report
}

func reportOfStatus(pinned v1alpha1.PinnedImage) imageReport {
	pin, err := registry.Pinned(pinned.Image, pinned.Digest)
	if err != nil {
		pin = pinned.Image // nobody has pinned it
	}
	return imageReport{
		Image: pinned.Image, Digest: pinned.Digest, Runs: pin, Credentials: pinned.Credentials,
		FromRelease: pinned.FromRelease, ResolvedAt: timeOrNil(pinned.ResolvedAt.Time), Missing: pinned.Missing, Pods: []podReport{},
	}
}

func reportOfPin(name string, release manifests.Release, told []v1alpha1.PinnedImage) imageReport {
	resolution := release.Resolved[name]
	_, digest, _ := strings.Cut(release.Pins[name], "@")
	image := imageReport{
		Image: name, Digest: digest, Runs: release.Pins[name], Credentials: resolution.Credentials,
		FromRelease: resolution.Release, ResolvedAt: timeOrNil(resolution.At), Pods: []podReport{},
	}
	same := func(pinned v1alpha1.PinnedImage) bool { return pinned.Image == name && pinned.Digest == digest }
	if i := slices.IndexFunc(told, same); i >= 0 {
		image.Missing = told[i].Missing
		if _, written := release.Resolved[name]; !written { // by an earlier belay, which told the time of the release
			image.ResolvedAt = timeOrNil(told[i].ResolvedAt.Time)
		}
	}
	return image
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// place is where a release has an image.
type place struct {
	object    manifests.ID
	container string
}

// addPods adds to each image the containers that are there for it. Where is what the release's objects have, pinned.
func (r *imagesReport) addPods(where []manifests.Image, containers []cluster.Container) {
	pins := map[place]string{}
	for _, image := range where {
		pins[place{image.Object.ID(), image.Container}] = image.Image
	}
	for _, c := range containers {
		here, known := pins[place{c.Object, c.Name}]
		for i := range r.Images {
			image := &r.Images[i]
			if c.Image != image.Runs && (!known || here != image.Runs) {
				continue
			}
			image.Pods = append(image.Pods, podReport{
				Namespace: c.Namespace, Pod: c.Pod, Node: c.Node, Container: c.Name,
				Image: c.Image, ImageID: c.ImageID, State: stateOf(c, image.Runs, image.Digest),
			})
		}
	}
}

// stateOf tells whether a container has a digest. A node that was asked for it by digest can run nothing else, whatever
// it calls it: some name the platform's own digest, not the index's.
func stateOf(c cluster.Container, pin, digest string) podState {
	switch {
	case c.Started && c.Image == pin, strings.HasSuffix(c.ImageID, "@"+digest):
		return podRuns
	case c.Image == pin:
		return podWaits
	}
	return podAnother
}

// podCount is how many pods are there for an image.
type podCount struct {
	runs, wants int // of those whose spec has the digest, or that run it
	others      int // have something else
}

// count counts pods, not containers: one that does not run the digest in each of its containers does not run it.
func count(containers []podReport) podCount {
	worst := map[string]podState{}
	rank := []podState{podRuns, podWaits, podAnother}
	for _, c := range containers {
		name := c.Namespace + "/" + c.Pod
		if before, known := worst[name]; !known || slices.Index(rank, c.State) > slices.Index(rank, before) {
			worst[name] = c.State
		}
	}
	var n podCount
	for _, state := range worst {
		switch state {
		case podRuns:
			n.runs++
			n.wants++
		case podWaits:
			n.wants++
		case podAnother:
			n.others++
		}
	}
	return n
}
