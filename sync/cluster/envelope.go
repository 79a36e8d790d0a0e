package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	gosync "sync"

	"github.com/klauspost/compress/zstd"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/belay-gitops/belay/manifests"
)

// largestRelease bounds what a compressed release may unpack to.
const largestRelease = 256 << 20

// format is the version of a release's text and of its record. A reader refuses what is newer than itself. What an
// older belay would misread makes a new format; a field that it may leave out does not.
const format = 1

// envelope is a release's text: what pack writes.
type envelope struct {
	Format  int `json:"format"`
	Release struct {
		manifests.Release
		// Objects stand for those of the Release, to be read in one go with the rest.
		Objects []map[string]any `json:"objects"`
	} `json:"release"`
}

// encoder and decoder compress releases. To make one takes far more time and memory than to use it on a release of the
// usual size, so that there is one of each, which as many goroutines use at once as can run.
var (
	encoder = gosync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	})
	decoder = gosync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(largestRelease))
	})
)

// window is how far back an encoder looks for what it has met before.
const window = 1 << 20

// pack makes the text of a release.
func pack(release manifests.Release) ([]byte, error) {
	text, err := release.JSON()
	if err != nil {
		return nil, fmt.Errorf("writing release %d: %w", release.Number, err)
	}
	encoder, err := encoder()
	if err != nil {
		return nil, err
	}
	whole := fmt.Appendf(make([]byte, 0, len(text)+64), `{"format":%d,"release":%s}`, format, text)
	return encoder.EncodeAll(whole, nil), nil
}

// unpack reads what pack made.
func unpack(packed []byte) (manifests.Release, error) {
	decoder, err := decoder()
	if err != nil {
		return manifests.Release{}, err
	}
	text, err := decoder.DecodeAll(packed, nil)
	if err != nil {
		return manifests.Release{}, err
	}
	var e envelope
	err = utiljson.Unmarshal(text, &e)
	if err != nil {
		// The rest of a newer format may be anything. A text may be large, and is read for this alone only here.
		var first struct{ Format int }
		if json.Unmarshal(text, &first) == nil {
			e.Format = first.Format
		}
	}
	switch {
	case e.Format > format:
		return manifests.Release{}, newer{format: e.Format}
	case err != nil:
		return manifests.Release{}, err
	case e.Format < 1:
		return manifests.Release{}, errors.New("it is no release")
	}
	release := e.Release.Release
	release.Objects, err = objectsOf(e.Release.Objects)
	return release, err
}

// objectsOf is the set of what was just read.
func objectsOf(contents []map[string]any) (manifests.Set, error) {
	objects := make([]manifests.Object, len(contents))
	for i, content := range contents {
		var err error
		if objects[i], err = manifests.Take(&unstructured.Unstructured{Object: content}, ""); err != nil {
			return manifests.Set{}, err
		}
	}
	return manifests.NewSet(objects...)
}
