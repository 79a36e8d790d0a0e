package cluster

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

func set(t testing.TB, contents ...map[string]any) manifests.Set {
	t.Helper()
	var objects []manifests.Object
	for _, content := range contents {
		o, err := manifests.NewObject(&unstructured.Unstructured{Object: content}, "x.yaml")
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	s, err := manifests.NewSet(objects...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAReleaseComesBackAsItWasPacked(t *testing.T) {
	release := manifests.Release{
		Number: 42, Commit: manifests.Commit{Hash: "9f2c", Author: "ana", Subject: "Bump <cart> & more"}, Path: "deploy",
		Pins: manifests.Pins{"a:1": "a@sha256:01"}, Rendered: "r", Options: "o",
		Objects: set(t,
			map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}, "data": map[string]any{"x": strings.Repeat("<&>\u2028", 1000)}},
			map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "a"}, "spec": map[string]any{"replicas": int64(1) << 62, "f": 0.5, "n": nil}},
		),
		Owned: []manifests.ID{{Kind: "Secret", Namespace: "shop", Name: "old"}},
	}
	packed, err := pack(release)
	if err != nil {
		t.Fatal(err)
	}
	back, err := unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := back.Objects.Digest(), release.Objects.Digest(); got != want {
		t.Errorf("the objects are others: %s, %s", got, want)
	}
	if diff := cmp.Diff(release.Objects.Objects()[1].Unstructured().Object, back.Objects.Objects()[1].Unstructured().Object); diff != "" {
		t.Error(diff)
	}
	release.Objects, back.Objects = manifests.Set{}, manifests.Set{}
	if diff := cmp.Diff(release, back, cmp.AllowUnexported(manifests.Set{})); diff != "" {
		t.Error(diff)
	}
	again, err := pack(manifests.Release{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	if twice, _ := pack(manifests.Release{Number: 1}); string(twice) != string(again) {
		t.Error("the same release is packed differently a second time")
	}
}

func zstdOf(t testing.TB, text string) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return encoder.EncodeAll([]byte(text), nil)
}

func TestWhatIsNoReleaseIsNotRead(t *testing.T) {
	whole, err := pack(manifests.Release{Number: 1, Path: strings.Repeat("deploy", 100)})
	if err != nil {
		t.Fatal(err)
	}
	for name, packed := range map[string][]byte{
		"nothing":                         {},
		"rubbish":                         []byte("rubbish"),
		"half of one":                     whole[:len(whole)/2],
		"one of a newer format":           zstdOf(t, `{"format":2,"release":{"number":1}}`),
		"compressed rubbish":              zstdOf(t, "rubbish"),
		"half of a JSON text":             zstdOf(t, `{"format":1,"release":{"number":1`),
		"objects that are none":           zstdOf(t, `{"format":1,"release":{"number":1,"objects":[{"kind":"Pod"}]}}`),
		"an object whose name climbs":     zstdOf(t, `{"format":1,"release":{"number":1,"objects":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"../x"}}]}}`),
		"the same object twice":           zstdOf(t, `{"format":1,"release":{"number":1,"objects":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"}},{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"}}]}}`),
		"a number where a text should be": zstdOf(t, `{"format":1,"release":{"number":"one"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := unpack(packed); err == nil {
				t.Errorf("read as %+v", got)
			}
		})
	}
	t.Run("and a newer format is told as such", func(t *testing.T) {
		_, err := unpack(zstdOf(t, `{"format":2}`))
		if err == nil || !strings.Contains(err.Error(), "format 2; this one reads 1") {
			t.Errorf("got %v", err)
		}
	})
}

// declaring is a release in a frame of Zstandard that says how many bytes it unpacks to (RFC 8878, section 3.1.1).
func declaring(size uint64) []byte {
	const release = `{"format":1,"release":{"number":1}}`
	frame := []byte{0x28, 0xB5, 0x2F, 0xFD, 0xC0, 7 << 3} // magic, a size of eight bytes, a window of 128 KiB
	frame = binary.LittleEndian.AppendUint64(frame, size)
	const last, raw = 1, 0 << 1
	header := last | raw | len(release)<<3
	return append(append(frame, byte(header), byte(header>>8), byte(header>>16)), release...)
}

func TestACompressedReleaseDoesNotBurst(t *testing.T) {
	if got, err := unpack(declaring(35)); err != nil || got.Number != 1 {
		t.Fatalf("one that does not gives %+v, %v", got, err)
	}
	if _, err := unpack(declaring(largestRelease + 1)); !errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestARecordIsReadFromItsAnnotations(t *testing.T) {
	const fixed = `{"commit":{"hash":"9f2c"},"rendered":"r","objects":"o","options":"p","at":"2026-01-02T03:04:05Z"}`
	const judged = `{"result":"Kept","took":1000000000,"pruned":true}`
	got, err := readRecord(7, fixed, judged)
	if err != nil {
		t.Fatal(err)
	}
	want := manifests.Record{
		Number: 7, Commit: manifests.Commit{Hash: "9f2c"}, Rendered: "r", Objects: "o", Options: "p",
		At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Outcome: manifests.Outcome{Result: manifests.Kept, Took: time.Second, Pruned: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range [][2]string{{"x", judged}, {fixed, "x"}, {fixed, ""}, {fixed, "{}"}} {
		if got, err := readRecord(7, bad[0], bad[1]); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}
