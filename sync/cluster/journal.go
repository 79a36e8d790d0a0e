package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

// Labels and annotations on the Secrets that hold releases.
const (
	labelReleaseOf     = "belay.dev/release-of" // the Sync's name
	labelRelease       = "belay.dev/release"    // the release's number
	annotationChunk    = "belay.dev/chunk"      // "0/3": this chunk, of so many
	annotationChecksum = "belay.dev/checksum"   // SHA-256 of the whole, in hex
	annotationRecord   = "belay.dev/record"     // what is fixed when the release is stored; on the last chunk
	annotationOutcome  = "belay.dev/outcome"    // what became of it; on the last chunk
)

var secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

// Journal keeps one Sync's releases as Secrets beside it. A release is the chunks of one compressed text, written
// in order: the last one makes it count, so that a half-written release is none. The data never changes; what
// became of a release is an annotation.
//
// The records are read once and remembered, and so are the releases that may have to be written again: the agent that
// holds the lease is the only writer. That others have spoilt a Secret meanwhile is found when it is marked or dropped, or
// by the next process; until then a release is what was stored.
type Journal struct {
	cluster *Cluster
	sync    types.NamespacedName
	owner   metav1.OwnerReference

	loaded   bool
	assumed  bool // that there are no releases, without having looked
	doubted  bool // a release could not be read: the records may not be true any more
	expected []int
	records  []manifests.Record
	stored   map[int]chunked
}

// chunked is how a release is stored.
type chunked struct {
	last    string // the name of the Secret that carries its record
	secrets int    // how many bear its number, with those that an earlier try may have left behind
}

// Journal is the journal of a Sync; owner makes the API server delete the releases with it.
func (c *Cluster) Journal(sync types.NamespacedName, owner metav1.OwnerReference) *Journal {
	c.shelf.keep(sync) // nothing of another of the same name
	return &Journal{cluster: c, sync: sync, owner: owner}
}

// Begin says that no agent has ever handled the Sync, so that there are no releases to read.
func (j *Journal) Begin() {
	if !j.loaded {
		j.loaded, j.assumed, j.records, j.stored = true, true, nil, map[int]chunked{}
	}
}

// Expect names releases that are stored for sure, as a Sync's status tells of them. That one of them is not there is an
// error then, where it would be taken for never stored otherwise.
func (j *Journal) Expect(releases ...int) { j.expected = releases }

// Refresh has the records read again if a release could not be read: people may have put that right, or gone on without.
func (j *Journal) Refresh() {
	if j.doubted {
		j.loaded, j.doubted = false, false
		j.cluster.shelf.keep(j.sync)
	}
}

// Sync is whose journal it is.
func (j *Journal) Sync() types.NamespacedName { return j.sync }

// record is the fixed part of a [manifests.Record], as it is written.
type record struct {
	Format   int              `json:"format"` // 0, from before it was written, means 1
	Commit   manifests.Commit `json:"commit"`
	Rendered string           `json:"rendered"`
	Objects  string           `json:"objects"`
	Options  string           `json:"options"`
	At       time.Time        `json:"at"`
	Ailing   []manifests.ID   `json:"ailing,omitempty"`
}

// Records lists the releases, oldest first.
func (j *Journal) Records(ctx context.Context) ([]manifests.Record, error) {
	if j.loaded {
		return slices.Clone(j.records), nil
	}
	list, err := j.cluster.records.Resource(secrets).Namespace(j.sync.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labelReleaseOf + "=" + j.sync.Name,
	})
	if err != nil {
		return nil, describe("listing the releases", "Release", err)
	}
	var records []manifests.Record
	stored := map[int]chunked{}
	for _, secret := range list.Items {
		number, err := strconv.Atoi(secret.Labels[labelRelease])
		chunks := stored[number]
		chunks.secrets++
		stored[number] = chunks
		text, last := secret.Annotations[annotationRecord]
		if !last || !j.owns(&secret) {
			continue
		}
		if err != nil {
			return nil, &Error{Reason: "ReleaseCorrupt", Object: "Secret/" + j.sync.Namespace + "/" + secret.Name,
				Detail: "the label " + labelRelease + " is no number; restore it"}
		}
		read, err := readRecord(number, text, secret.Annotations[annotationOutcome])
		if err != nil {
			return nil, j.refuse(number, err)
		}
		records = append(records, read)
		chunks.last = secret.Name
		stored[number] = chunks
	}
	for _, number := range j.expected {
		if stored[number].last == "" {
			return nil, j.lost(number)
		}
	}
	slices.SortFunc(records, func(a, b manifests.Record) int { return a.Number - b.Number })
	j.records, j.stored, j.loaded, j.assumed = records, stored, true, false
	return slices.Clone(records), nil
}

func readRecord(number int, fixed, outcome string) (manifests.Record, error) {
	var first struct{ Format int }
	if err := json.Unmarshal([]byte(fixed), &first); err == nil && first.Format > format {
		return manifests.Record{}, newer{format: first.Format} // the rest of it may be anything
	}
	var r record
	if err := json.Unmarshal([]byte(fixed), &r); err != nil {
		return manifests.Record{}, fmt.Errorf("the annotation %s is not what belay wrote", annotationRecord)
	}
	read := manifests.Record{Number: number, Commit: r.Commit, Rendered: r.Rendered, Objects: r.Objects, Options: r.Options, At: r.At, Ailing: r.Ailing}
	if err := json.Unmarshal([]byte(outcome), &read.Outcome); err != nil || read.Outcome.Result == "" {
		return manifests.Record{}, fmt.Errorf("the annotation %s is not what belay wrote", annotationOutcome)
	}
	if !read.Outcome.Result.Known() {
		return manifests.Record{}, newer{result: read.Outcome.Result}
	}
	return read, nil
}

// Store writes a release, Applying.
func (j *Journal) Store(ctx context.Context, release manifests.Release) error {
	records, err := j.Records(ctx)
	if err != nil {
		return err
	}
	stored := manifests.Record{
		Number: release.Number, Commit: release.Commit, Rendered: release.Rendered,
		Objects: release.Objects.Digest(), Options: release.Options, At: time.Now().UTC().Truncate(time.Second),
		Ailing:  release.Ailing,
		Outcome: manifests.Outcome{Result: manifests.Applying},
	}
	chunks, err := j.write(ctx, release, stored)
	if err != nil {
		return err
	}
	j.stored[release.Number] = chunks
	j.records = append(records, stored)
	j.shelve()
	return nil
}

// shelve forgets the texts of releases that will hardly be written again: all but the newest and the one to go back to.
func (j *Journal) shelve() {
	j.cluster.shelf.keep(j.sync, j.needed()...)
}

func (j *Journal) needed() []int {
	if len(j.records) == 0 {
		return nil
	}
	newest := j.records[len(j.records)-1]
	needed := []int{newest.Number, newest.Outcome.To}
	for _, r := range slices.Backward(j.records) {
		if r.Outcome.Result == manifests.Kept {
			return append(needed, r.Number)
		}
	}
	return needed
}

// Mark writes what became of a release.
func (j *Journal) Mark(ctx context.Context, number int, outcome manifests.Outcome) error {
	text, err := json.Marshal(outcome)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{annotationOutcome: string(text)},
	}})
	if err != nil {
		return err
	}
	_, err = j.cluster.records.Resource(secrets).Namespace(j.sync.Namespace).
		Patch(ctx, j.stored[number].last, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	if err != nil {
		j.doubted = j.doubted || apierrors.IsNotFound(err)
		return describe(fmt.Sprintf("release %d", number), "Release", err)
	}
	for i := range j.records {
		if j.records[i].Number == number {
			j.records[i].Outcome = outcome
		}
	}
	j.shelve()
	return nil
}

// Drop deletes a release: the Secret that makes it count before the others, so that half of it is none. Mostly it is the
// only one.
func (j *Journal) Drop(ctx context.Context, number int) error {
	stored := j.stored[number]
	if stored.last != "" {
		err := j.cluster.own.Resource(secrets).Namespace(j.sync.Namespace).Delete(ctx, stored.last, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return describe(fmt.Sprintf("release %d", number), "Release", err)
		}
	}
	if stored.secrets != 1 {
		if err := j.remove(ctx, number); err != nil {
			return err
		}
	}
	j.records = slices.DeleteFunc(j.records, func(r manifests.Record) bool { return r.Number == number })
	delete(j.stored, number)
	j.shelve()
	return nil
}

func (j *Journal) remove(ctx context.Context, number int) error {
	err := j.cluster.own.Resource(secrets).Namespace(j.sync.Namespace).DeleteCollection(ctx, metav1.DeleteOptions{},
		metav1.ListOptions{LabelSelector: j.selector(number)})
	if err != nil && !apierrors.IsNotFound(err) {
		return describe(fmt.Sprintf("release %d", number), "Release", err)
	}
	return nil
}

func (j *Journal) selector(number int) string {
	return labelReleaseOf + "=" + j.sync.Name + "," + labelRelease + "=" + strconv.Itoa(number)
}

// chunks reads the Secrets of a release, in order, all there.
func (j *Journal) chunks(ctx context.Context, number int) ([]unstructured.Unstructured, error) {
	list, err := j.cluster.own.Resource(secrets).Namespace(j.sync.Namespace).List(ctx, metav1.ListOptions{LabelSelector: j.selector(number)})
	if err != nil {
		return nil, describe(fmt.Sprintf("release %d", number), "Release", err)
	}
	chunks := slices.DeleteFunc(list.Items, func(chunk unstructured.Unstructured) bool { return !j.owns(&chunk) })
	chunks = ofOneText(chunks)
	slices.SortFunc(chunks, func(a, b unstructured.Unstructured) int { return chunkIndex(a) - chunkIndex(b) })
	for i, chunk := range chunks {
		if chunk.GetAnnotations()[annotationChunk] != fmt.Sprintf("%d/%d", i, len(chunks)) {
			return nil, j.corrupt(number, "a chunk of it is missing")
		}
	}
	if len(chunks) == 0 {
		return nil, j.corrupt(number, "it is not there")
	}
	return chunks, nil
}

// ofOneText is the chunks of the release that counts, without those that an earlier try may have left behind.
func ofOneText(chunks []unstructured.Unstructured) []unstructured.Unstructured {
	for _, last := range chunks {
		if _, counts := last.GetAnnotations()[annotationRecord]; counts {
			checksum := last.GetAnnotations()[annotationChecksum]
			return slices.DeleteFunc(chunks, func(c unstructured.Unstructured) bool { return c.GetAnnotations()[annotationChecksum] != checksum })
		}
	}
	return chunks
}

// owns tells this Sync's releases from those of one of the same name that was deleted a moment ago, whose Secrets the
// garbage collector has not come to yet.
func (j *Journal) owns(secret metav1.Object) bool {
	return slices.ContainsFunc(secret.GetOwnerReferences(), func(owner metav1.OwnerReference) bool { return owner.UID == j.owner.UID })
}

func chunkIndex(chunk unstructured.Unstructured) int {
	var i int
	_, _ = fmt.Sscanf(chunk.GetAnnotations()[annotationChunk], "%d/", &i)
	return i
}
