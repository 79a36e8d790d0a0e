package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// chunkSize keeps a Secret, base64 and all, well under etcd's limit of 1.5 MiB.
const chunkSize = 896 << 10

// write stores a release's chunks, in order, so that the last one makes it count. What an earlier, killed try left behind
// is removed.
func (j *Journal) write(ctx context.Context, release manifests.Release, stored manifests.Record) (chunked, error) {
	text, err := pack(release)
	if err != nil {
		return chunked{}, err
	}
	fixed, err := json.Marshal(record{
		Format: format, Commit: stored.Commit, Rendered: stored.Rendered, Objects: stored.Objects, Options: stored.Options, At: stored.At,
		Ailing: stored.Ailing,
	})
	if err != nil {
		return chunked{}, err
	}
	outcome, err := json.Marshal(stored.Outcome)
	if err != nil {
		return chunked{}, err
	}
	var chunks []*unstructured.Unstructured
	for data := range slices.Chunk(text, chunkSize) {
		chunks = append(chunks, j.chunk(release.Number, len(chunks), data))
	}
	sum := checksum(text)
	for i, chunk := range chunks {
		annotations := map[string]string{
			annotationChunk:    fmt.Sprintf("%d/%d", i, len(chunks)),
			annotationChecksum: sum,
		}
		if i == len(chunks)-1 {
			annotations[annotationRecord], annotations[annotationOutcome] = string(fixed), string(outcome)
		}
		chunk.SetAnnotations(annotations)
	}
	if err := j.replace(ctx, release.Number, chunks); err != nil {
		return chunked{}, describe(fmt.Sprintf("release %d", release.Number), "Release", err)
	}
	j.cluster.shelf.put(j.sync, release.Number, shelved{text, sum})
	return chunked{last: chunks[len(chunks)-1].GetName(), secrets: j.stored[release.Number].secrets + len(chunks)}, nil
}

// chunk is the Secret for a part of a release.
func (j *Journal) chunk(number, index int, data []byte) *unstructured.Unstructured {
	owner := map[string]any{
		"apiVersion": j.owner.APIVersion, "kind": j.owner.Kind, "name": j.owner.Name, "uid": string(j.owner.UID),
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"metadata": map[string]any{
			"name":            fmt.Sprintf("belay.%s.%d.%d", j.sync.Name, number, index),
			"namespace":       j.sync.Namespace,
			"labels":          map[string]any{labelReleaseOf: j.sync.Name, labelRelease: strconv.Itoa(number)},
			"ownerReferences": []any{owner},
		},
		"type":      "belay.dev/release",
		"immutable": true,
		"data":      map[string]any{"release": base64.StdEncoding.EncodeToString(data)},
	}}
}

// replace creates the chunks of a release. Where one of them is there already, an earlier try has left it behind; but if
// that there are no releases was only assumed, they are read before any of them is removed.
func (j *Journal) replace(ctx context.Context, number int, chunks []*unstructured.Unstructured) error {
	err := j.create(ctx, chunks)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if j.assumed {
		j.loaded = false
		switch records, err := j.Records(ctx); {
		case err != nil:
			return err
		case len(records) > 0:
			return &Error{Reason: "ReleaseFound", Object: fmt.Sprintf("Sync %s", j.sync), Temporary: true,
				Detail: "it has releases although it looked new; they are read, and it is looked at again"}
		}
	}
	if err := j.remove(ctx, number); err != nil {
		return err
	}
	return j.create(ctx, chunks)
}

func (j *Journal) create(ctx context.Context, chunks []*unstructured.Unstructured) error {
	client := j.cluster.own.Resource(secrets).Namespace(j.sync.Namespace)
	for _, chunk := range chunks {
		if _, err := client.Create(ctx, chunk, metav1.CreateOptions{FieldManager: FieldManager}); err != nil {
			return err
		}
	}
	return nil
}

// Load reads a release back. It answers an error rather than anything but what was stored.
func (j *Journal) Load(ctx context.Context, number int) (manifests.Release, error) {
	release, err := j.load(ctx, number)
	if err != nil {
		j.doubted = true
	}
	return release, err
}

func (j *Journal) load(ctx context.Context, number int) (manifests.Release, error) {
	packed, found := j.cluster.shelf.find(j.sync, number)
	if !found {
		var err error
		if packed, err = j.fetch(ctx, number); err != nil {
			return manifests.Release{}, err
		}
	}
	if checksum(packed.text) != packed.checksum {
		return manifests.Release{}, j.corrupt(number, "its checksum is wrong")
	}
	release, err := unpack(packed.text)
	if errors.As(err, &newer{}) {
		return manifests.Release{}, j.refuse(number, err)
	}
	if err != nil {
		return manifests.Release{}, j.corrupt(number, "it cannot be read")
	}
	if known := j.objectsOf(number); known != "" && known != release.Objects.Digest() {
		return manifests.Release{}, j.corrupt(number, "its objects are not those that were stored")
	}
	if !found && slices.Contains(j.needed(), number) {
		j.cluster.shelf.put(j.sync, number, packed)
	}
	return release, nil
}

// fetch reads a release's Secrets.
func (j *Journal) fetch(ctx context.Context, number int) (shelved, error) {
	chunks, err := j.chunks(ctx, number)
	if err != nil {
		return shelved{}, err
	}
	var text []byte
	for _, chunk := range chunks {
		encoded, _, _ := unstructured.NestedString(chunk.Object, "data", "release")
		data, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return shelved{}, j.corrupt(number, "a chunk of it is not base64")
		}
		text = append(text, data...)
	}
	return shelved{text, chunks[len(chunks)-1].GetAnnotations()[annotationChecksum]}, nil
}

func checksum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// objectsOf is the digest that a release's objects had when it was stored or the journal was first read; "" where that
// is not known.
func (j *Journal) objectsOf(number int) string {
	for _, r := range j.records {
		if r.Number == number {
			return r.Objects
		}
	}
	return ""
}
