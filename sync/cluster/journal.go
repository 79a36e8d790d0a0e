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
// The records are read once and remembered: the agent that holds the lease is the only writer.
type Journal struct {
	cluster *Cluster
	sync    types.NamespacedName
	owner   metav1.OwnerReference

	loaded  bool
	records []manifests.Record
	last    map[int]string // each release's Secret that carries its record
}

// Journal is the journal of a Sync; owner makes the API server delete the releases with it.
func (c *Cluster) Journal(sync types.NamespacedName, owner metav1.OwnerReference) *Journal {
	return &Journal{cluster: c, sync: sync, owner: owner}
}

// record is the fixed part of a [manifests.Record], as it is written.
type record struct {
	Commit   manifests.Commit `json:"commit"`
	Rendered string           `json:"rendered"`
	Objects  string           `json:"objects"`
	Options  string           `json:"options"`
	At       time.Time        `json:"at"`
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
	names := map[int]string{}
	for _, secret := range list.Items {
		text, last := secret.Annotations[annotationRecord]
		if !last || !j.owns(&secret) {
			continue
		}
		read, err := readRecord(secret.Labels[labelRelease], text, secret.Annotations[annotationOutcome])
		if err != nil {
			return nil, &Error{Reason: "ReleaseCorrupt", Object: "Secret/" + j.sync.Namespace + "/" + secret.Name, Detail: err.Error()}
		}
		records = append(records, read)
		names[read.Number] = secret.Name
	}
	slices.SortFunc(records, func(a, b manifests.Record) int { return a.Number - b.Number })
	j.records, j.last, j.loaded = records, names, true
	return slices.Clone(records), nil
}

func readRecord(number, fixed, outcome string) (manifests.Record, error) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return manifests.Record{}, fmt.Errorf("the label %s is no number", labelRelease)
	}
	var r record
	if err := json.Unmarshal([]byte(fixed), &r); err != nil {
		return manifests.Record{}, fmt.Errorf("the annotation %s is not what belay wrote", annotationRecord)
	}
	read := manifests.Record{Number: n, Commit: r.Commit, Rendered: r.Rendered, Objects: r.Objects, Options: r.Options, At: r.At}
	if err := json.Unmarshal([]byte(outcome), &read.Outcome); err != nil {
		return manifests.Record{}, fmt.Errorf("the annotation %s is not what belay wrote", annotationOutcome)
	}
	return read, nil
}

// Store writes a release, Applying, and then lets go of the oldest ones so that keep are left. The last kept
// release is never let go of.
func (j *Journal) Store(ctx context.Context, release manifests.Release, keep int) error {
	records, err := j.Records(ctx)
	if err != nil {
		return err
	}
	stored := manifests.Record{
		Number: release.Number, Commit: release.Commit, Rendered: release.Rendered,
		Objects: release.Objects.Digest(), Options: release.Options, At: time.Now().UTC().Truncate(time.Second),
		Outcome: manifests.Outcome{Result: manifests.Applying},
	}
	name, err := j.write(ctx, release, stored)
	if err != nil {
		return err
	}
	j.last[release.Number] = name
	j.records = append(records, stored)
	return j.trim(ctx, keep)
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
		Patch(ctx, j.last[number], types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	if err != nil {
		return describe(fmt.Sprintf("release %d", number), "Release", err)
	}
	for i := range j.records {
		if j.records[i].Number == number {
			j.records[i].Outcome = outcome
		}
	}
	return nil
}

// trim deletes the oldest releases, but for the last kept one and the newest.
func (j *Journal) trim(ctx context.Context, keep int) error {
	kept := 0
	for _, r := range j.records {
		if r.Outcome.Result == manifests.Kept {
			kept = r.Number
		}
	}
	var left []manifests.Record
	for i, r := range j.records {
		surplus := len(j.records)-i > keep
		if !surplus || r.Number == kept {
			left = append(left, r)
			continue
		}
		if err := j.remove(ctx, r.Number); err != nil {
			return err
		}
	}
	j.records = left
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

// corrupt refuses a release that is not what was stored. Nothing is guessed: a new commit makes a new release.
func (j *Journal) corrupt(number int, what string) error {
	return &Error{Reason: "ReleaseCorrupt", Object: fmt.Sprintf("release %d of Sync %s", number, j.sync),
		Detail: fmt.Sprintf("%s; restore its Secrets, or delete them (kubectl delete secrets -n %s -l %s) to go on without: objects that only it had are then nobody's",
			what, j.sync.Namespace, j.selector(number))}
}
