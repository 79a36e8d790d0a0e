package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/registry"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/cluster"
)

// lookTimeout is how long all registries together may take to say what tags stand for now.
const lookTimeout = 10 * time.Second

// tags asks registries from the user's own machine. They may lead no further than the agent's may.
type tags struct {
	insecure []string
	hostsDir string
	refuse   []string // hosts that no image may lead to
}

func (t tags) resolver() (*registry.Resolver, error) {
	return registry.New(registry.Options{
		Credentials: userDockerConfig().credentials(), Endpoints: registry.Hosts(t.hostsDir), Insecure: t.insecure, Refuse: t.refuse,
		Proxy: http.ProxyFromEnvironment, UserAgent: userAgent(),
	})
}

// askTags looks what the tags of a report's images stand for now, with the credentials that their pods have. Where is what
// the release's objects have, pinned.
func (r *imagesReport) askTags(ctx context.Context, c *cluster.Cluster, resolver *registry.Resolver, where []manifests.Image) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, fmt.Errorf("there was no answer within %v", lookTimeout))
	defer cancel()
	now := time.Now()
	asked, err := queries(ctx, c, sync.PinRequest{Images: r.asWritten(where)})
	if err != nil {
		r.addTags(nil, err, now)
		return
	}
	for _, image := range r.Images {
		if _, fixed := registry.Digest(image.Image); !fixed {
			asked = append(asked, registry.Query{Image: image.Image}) // also of what no object is known for
		}
	}
	found, err := resolver.Resolve(ctx, asked, now)
	r.addTags(found, err, now)
}

// asWritten is the places of a release's images that have a tag, as Git has them.
func (r *imagesReport) asWritten(where []manifests.Image) []manifests.Image {
	var written []manifests.Image
	for _, image := range r.Images {
		if _, fixed := registry.Digest(image.Image); fixed {
			continue
		}
		for _, place := range where {
			if place.Image == image.Runs {
				place.Image = image.Image
				written = append(written, place)
			}
		}
	}
	return written
}

// addTags adds what registries have answered, and why they have not.
func (r *imagesReport) addTags(found map[string]registry.Resolution, err error, now time.Time) {
	reasons := map[string]string{}
	for _, e := range registryErrors(err) {
		reasons[e.Image] = e.Detail
	}
	for i := range r.Images {
		image := &r.Images[i]
		tag := &tagReport{State: tagUnchanged, At: now.UTC().Truncate(time.Second), Digest: found[image.Image].Digest}
		_, fixed := registry.Digest(image.Image)
		switch {
		case fixed:
			tag.State, tag.Digest = tagNone, image.Digest
		case tag.Digest == "" && reasons[image.Image] != "":
			tag.State, tag.Reason = tagUnknown, reasons[image.Image]
		case tag.Digest == "":
			tag.State, tag.Reason = tagUnknown, fmt.Sprint(err)
		case tag.Digest != image.Digest:
			tag.State = tagMoved
		}
		image.Tag = tag
	}
}
