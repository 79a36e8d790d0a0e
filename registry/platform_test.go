package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// cluster has nodes that change, and counts who asks.
type cluster struct {
	platforms []string
	err       error
	asked     int
}

func (c *cluster) nodes(context.Context) ([]string, error) {
	c.asked++
	return c.platforms, c.err
}

func TestTheNodesAreAskedForWhenAnIndexIsPinned(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	server.pushIndex("till:1", "linux/amd64")
	server.pushIndex("till:2", "linux/amd64")
	cluster := &cluster{platforms: []string{"linux/amd64"}}
	resolver := server.resolver(t, Options{Platforms: cluster.nodes})
	for _, step := range []struct {
		images []string
		want   int
	}{
		{[]string{"cart:1", "cart@" + someDigest}, 0},
		{[]string{"till:1", "till:2", "cart:1"}, 1},
	} {
		cluster.asked = 0
		if _, err := resolver.Resolve(t.Context(), ask(server.images(step.images)...), time.Now()); err != nil {
			t.Error(err)
		}
		if cluster.asked != step.want {
			t.Errorf("%v: they were asked for %d times", step.images, cluster.asked)
		}
	}
}

func TestOtherNodesAreComparedWithoutARequest(t *testing.T) {
	server := serve(t)
	server.pushIndex("cart:1", "linux/amd64", "linux/arm64")
	cluster := &cluster{platforms: []string{"linux/amd64"}}
	resolver := server.resolver(t, Options{Platforms: cluster.nodes})
	since := time.Now()
	resolve := func() error {
		_, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), since)
		return err
	}
	if err := resolve(); err != nil {
		t.Fatal(err)
	}
	server.forget()
	cluster.platforms = []string{"linux/s390x"}
	if e := firstError(t, resolve()); e.Reason != PlatformMissing || e.Temporary {
		t.Errorf("got %v", e)
	}
	cluster.platforms = []string{"linux/s390x", "linux/arm64"}
	if err := resolve(); err != nil {
		t.Error(err)
	}
	cluster.platforms = nil
	if err := resolve(); err != nil {
		t.Error(err)
	}
	server.expect()
}

func TestUnknownNodesAreATemporaryError(t *testing.T) {
	server := serve(t)
	server.pushIndex("cart:1", "linux/amd64")
	for _, c := range []*cluster{{err: errors.New("listing nodes: forbidden")}, {platforms: []string{"linux"}}} {
		if e := server.fail(t, Options{Platforms: c.nodes}, "cart:1"); e.Reason != NodesUnknown || !e.Temporary || c.err != nil && !strings.Contains(e.Detail, c.err.Error()) {
			t.Errorf("got %v", e)
		}
	}
}

func TestThePlatformsOfAnIndexAreKeptWithinBounds(t *testing.T) {
	var index v1.IndexManifest
	add := func(p *v1.Platform) { index.Manifests = append(index.Manifests, v1.Descriptor{Platform: p}) }
	add(nil)
	add(&v1.Platform{OS: "unknown", Architecture: "unknown"})
	add(&v1.Platform{OS: "linux", Architecture: strings.Repeat("x", 10000)})
	for range 10 {
		add(&v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8", Features: []string{"x"}})
	}
	read := func() []v1.Platform {
		text, err := json.Marshal(index)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readManifest(manifest{string(types.OCIImageIndex), text})
		if err != nil {
			t.Fatal(err)
		}
		return got.platforms
	}
	if got := read(); len(got) != 1 || got[0].String() != "linux/arm64" {
		t.Errorf("got %v", got)
	}
	for i := range 10 * maxPlatforms {
		add(&v1.Platform{OS: "linux", Architecture: fmt.Sprint(i)})
	}
	if got := read(); len(got) != maxPlatforms {
		t.Errorf("got %d", len(got))
	}
}

// Four megabytes of {} would be hundreds in memory, for each of the images that are asked for side by side.
func TestALongIndexTakesLittleMemory(t *testing.T) {
	text := []byte(`{"manifests":[` + strings.Repeat(`{},`, maxBody/3-100) + `{"platform":{"os":"linux","architecture":"arm64"}}]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := readManifest(manifest{string(types.OCIImageIndex), text})
	runtime.ReadMemStats(&after)
	if err != nil || !got.index || len(got.platforms) != 1 || got.platforms[0].Architecture != "arm64" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if taken := after.Sys - before.Sys; taken > 64<<20 {
		t.Errorf("%d MiB were taken of the system", taken>>20)
	}
}
