// Faults: a belay that is put back to the version before meets releases of the later one, and the other way round;
// release record lost or corrupt (checksum).

package cluster

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// golden is the Secrets that the code of commit 8637582 wrote of releases 1 to 3, the first two of them judged.
func golden(t testing.TB) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile("testdata/format-1.json")
	if err != nil {
		t.Fatal(err)
	}
	var secrets []*unstructured.Unstructured
	if err := json.Unmarshal(text, &secrets); err != nil {
		t.Fatal(err)
	}
	return secrets
}

// goldenRelease is what commit 8637582 was given to store.
func goldenRelease(t testing.TB, n int) manifests.Release {
	number := string(rune('0' + n))
	image := "ghcr.io/acme/cart@sha256:0" + number
	return manifests.Release{
		Number: n, Commit: manifests.Commit{Hash: "41aa09b00000000000000000000000000000000" + number, Author: "Ana <ana@example.com>", Subject: "Bump <cart> & more, " + number}, Path: "deploy",
		Pins: manifests.Pins{"ghcr.io/acme/cart:2": image}, Rendered: "rendered" + number, Options: "options" + number,
		Objects: set(t,
			map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings", "namespace": "shop"}, "data": map[string]any{"text": "<&>\u2028 ä\n", "empty": ""}},
			map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "key", "namespace": "shop"}, "stringData": map[string]any{"password": "hunter2"}},
			map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "cart", "namespace": "shop"},
				"spec": map[string]any{"replicas": int64(3), "big": int64(1) << 62, "half": 0.5, "none": nil,
					"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "cart", "image": image}}}}}},
			map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": "seed", "namespace": "shop"}, "spec": map[string]any{"ttlSecondsAfterFinished": int64(60)}},
		),
		Owned:   []manifests.ID{{Kind: "ConfigMap", Namespace: "shop", Name: "old"}, {Kind: "Namespace", Name: "gone"}},
		Adopted: []manifests.ID{{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}},
		Done:    []manifests.ID{{Group: "batch", Kind: "Job", Namespace: "shop", Name: "seed"}},
	}
}

var goldenOutcomes = []manifests.Outcome{
	{Result: manifests.Kept, Took: 90 * time.Second, Pruned: true},
	{Result: manifests.RolledBack, Reason: "CrashLoopBackOff", Message: "Deployment/shop/cart: CrashLoopBackOff: \"exit\" <1>", Took: 12345678901, Options: "options2b"},
	{Result: manifests.Applying},
}

// contents makes sets comparable.
var contents = cmp.Transformer("contents", func(s manifests.Set) []map[string]any {
	var list []map[string]any
	for _, o := range s.Objects() {
		list = append(list, o.Unstructured().Object)
	}
	return list
})

func TestReleasesOfTheVersionBeforeAreReadWithAllTheirFields(t *testing.T) {
	journal, api := journalOn(t, golden(t)...)
	records, err := journal.Records(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 3 {
		t.Fatalf("%d records, 3 were stored", len(records))
	}
	for i, record := range records {
		want := goldenRelease(t, i+1)
		if record.At.IsZero() {
			t.Errorf("release %d does not say when it was stored", record.Number)
		}
		record.At = time.Time{}
		wantRecord := manifests.Record{Number: i + 1, Commit: want.Commit, Rendered: want.Rendered, Options: want.Options,
			Objects: want.Objects.Digest(), Outcome: goldenOutcomes[i]}
		if diff := cmp.Diff(wantRecord, record); diff != "" {
			t.Errorf("the record of release %d (-want +got):\n%s", i+1, diff)
		}
		got, err := journal.Load(t.Context(), i+1)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, contents); diff != "" {
			t.Errorf("release %d (-want +got):\n%s", i+1, diff)
		}
	}
	if len(api.writes) > 0 {
		t.Errorf("reading wrote: %v", api.writes)
	}
}

// What follows is frozen: the reader of format 1 as it was in commit 8637582.
type (
	format1Commit struct {
		Hash    string `json:"hash"`
		Author  string `json:"author,omitempty"`
		Subject string `json:"subject,omitempty"`
	}
	format1ID struct {
		Group     string `json:"group,omitempty"`
		Kind      string `json:"kind"`
		Namespace string `json:"namespace,omitempty"`
		Name      string `json:"name"`
	}
	format1Record struct {
		Commit   format1Commit `json:"commit"`
		Rendered string        `json:"rendered"`
		Objects  string        `json:"objects"`
		Options  string        `json:"options"`
		At       time.Time     `json:"at"`
	}
	format1Outcome struct {
		Result  string        `json:"result"`
		Reason  string        `json:"reason,omitempty"`
		Message string        `json:"message,omitempty"`
		Took    time.Duration `json:"took,omitempty"`
		Options string        `json:"options,omitempty"`
		Pruned  bool          `json:"pruned,omitempty"`
	}
	format1Release struct {
		Number   int               `json:"number"`
		Commit   format1Commit     `json:"commit"`
		Path     string            `json:"path,omitempty"`
		Pins     map[string]string `json:"pins,omitempty"`
		Rendered string            `json:"rendered"`
		Options  string            `json:"options"`
		Objects  []map[string]any  `json:"objects"`
		Owned    []format1ID       `json:"owned,omitempty"`
		Adopted  []format1ID       `json:"adopted,omitempty"`
		Done     []format1ID       `json:"done,omitempty"`
	}
	format1Envelope struct {
		Format  int            `json:"format"`
		Release format1Release `json:"release"`
	}
)

// format1 reads a Secret of one chunk as commit 8637582 did.
func format1(t testing.TB, secret *unstructured.Unstructured) (envelope format1Envelope, record format1Record, outcome format1Outcome) {
	t.Helper()
	encoded, _, _ := unstructured.NestedString(secret.Object, "data", "release")
	packed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	text, err := decoder.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	annotations := secret.GetAnnotations()
	for into, text := range map[any]string{
		&envelope: string(text), &record: annotations["belay.dev/record"], &outcome: annotations["belay.dev/outcome"],
	} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	if annotations["belay.dev/chunk"] != "0/1" || secret.GetLabels()["belay.dev/release-of"] != "shop" {
		t.Errorf("the version before does not find it: %v, %v", annotations, secret.GetLabels())
	}
	return envelope, record, outcome
}

func TestTheVersionBeforeReadsWhatThisOneWrites(t *testing.T) {
	journal, api := journalOn(t)
	for n := 1; n <= 3; n++ {
		release := goldenRelease(t, n)
		release.Resolved = map[string]manifests.Resolution{"a:1": {At: time.Unix(1, 0), Credentials: "Secret shop/registry", Release: 1}}
		release.Ailing = release.Adopted
		if err := journal.Store(t.Context(), release); err != nil {
			t.Fatal(err)
		}
	}
	for i, outcome := range goldenOutcomes[:2] {
		outcome.Healthy, outcome.To, outcome.Request, outcome.Thawed = true, 1, "2026-11-21T10:00:00Z", true
		outcome.Suspects, outcome.Watching = manifests.Pins{"a:1": "a@sha256:01"}, true
		if err := journal.Mark(t.Context(), i+1, outcome); err != nil {
			t.Fatal(err)
		}
	}
	written := golden(t)
	for i, secret := range api.all() {
		wantEnvelope, wantRecord, wantOutcome := format1(t, written[i])
		gotEnvelope, gotRecord, gotOutcome := format1(t, secret)
		wantRecord.At, gotRecord.At = time.Time{}, time.Time{}
		for _, diff := range []string{cmp.Diff(wantEnvelope, gotEnvelope), cmp.Diff(wantRecord, gotRecord), cmp.Diff(wantOutcome, gotOutcome)} {
			if diff != "" {
				t.Errorf("release %d (-what it wrote itself +what it reads now):\n%s", i+1, diff)
			}
		}
	}
	if len(api.all()) != 3 {
		t.Errorf("%d Secrets, want 3", len(api.all()))
	}
	again, _ := journalOn(t, api.all()...)
	records, err := again.Records(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, record := range records {
		if diff := cmp.Diff(goldenRelease(t, i+1).Adopted, record.Ailing); diff != "" || record.Outcome.Watching != (i < 2) {
			t.Errorf("the record of release %d is not read back as it was written: %+v", i+1, record)
		}
	}
}

func TestAReleaseThatIsNotWhatWasStoredIsRefusedAndLeftAlone(t *testing.T) {
	annotate := func(key, value string) func([]*unstructured.Unstructured) []*unstructured.Unstructured {
		return func(secrets []*unstructured.Unstructured) []*unstructured.Unstructured {
			annotations := secrets[2].GetAnnotations()
			annotations[key] = value
			secrets[2].SetAnnotations(annotations)
			return secrets
		}
	}
	// repacked is release 3 with another text, under a checksum that is right.
	repacked := func(text string) func([]*unstructured.Unstructured) []*unstructured.Unstructured {
		return func(secrets []*unstructured.Unstructured) []*unstructured.Unstructured {
			packed := zstdOf(t, text)
			_ = unstructured.SetNestedField(secrets[2].Object, base64.StdEncoding.EncodeToString(packed), "data", "release")
			return annotate(annotationChecksum, checksum(packed))(secrets)
		}
	}
	const deleting = "restore its Secrets, or delete them to go on without: kubectl delete secrets -n shop -l belay.dev/release-of=shop,belay.dev/release=3 && kubectl annotate sync shop -n shop --overwrite belay.dev/without-release=3"
	for _, test := range []struct {
		name          string
		spoil         func([]*unstructured.Unstructured) []*unstructured.Unstructured
		reason, words string
	}{
		{"a record of a newer format", annotate(annotationRecord, `{"format":2,"commit":["another shape"]}`),
			"ReleaseNewer", "release 3 of Sync shop/shop was stored by a newer belay (format 2; this one reads 1): run that version or a later one"},
		{"a text of a newer format", repacked(`{"format":2,"release":["another shape"]}`),
			"ReleaseNewer", "release 3 of Sync shop/shop was stored by a newer belay (format 2; this one reads 1): run that version or a later one"},
		{"an outcome that is not known", annotate(annotationOutcome, `{"result":"Frozen"}`),
			"ReleaseNewer", `release 3 of Sync shop/shop was marked by a newer belay ("Frozen", which this one does not know): run that version or a later one`},
		{"a record that is none", annotate(annotationRecord, "x"), "ReleaseCorrupt", deleting},
		{"an outcome that is none", annotate(annotationOutcome, "{}"), "ReleaseCorrupt", deleting},
		{"another checksum", annotate(annotationChecksum, strings.Repeat("0", 64)), "ReleaseCorrupt", "its checksum is wrong; " + deleting},
		{"a chunk too few", annotate(annotationChunk, "1/2"), "ReleaseCorrupt", "a chunk of it is missing; " + deleting},
		{"other objects", repacked(`{"format":1,"release":{"number":3,"objects":[]}}`), "ReleaseCorrupt", "its objects are not those that were stored"},
		{"no objects of a format at all", repacked(`{}`), "ReleaseCorrupt", "it cannot be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			journal, api := journalOn(t, test.spoil(golden(t))...)
			_, err := journal.Records(t.Context())
			if err == nil {
				_, err = journal.Load(t.Context(), 3)
			}
			var refused *Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %v", err)
			}
			if refused.Reason != test.reason || refused.Temporary || !strings.Contains(err.Error(), test.words) {
				t.Errorf("got %s: %v\nwant %s: %s", refused.Reason, err, test.reason, test.words)
			}
			if refused.Reason == "ReleaseNewer" && strings.Contains(err.Error(), "delete") {
				t.Errorf("deleting a sound release is advised: %v", err)
			}
			if len(api.writes) > 0 {
				t.Errorf("something was written: %v", api.writes)
			}
		})
	}
}

func TestAReleaseThatTheStatusTellsOfIsMissed(t *testing.T) {
	journal, api := journalOn(t, golden(t)[:2]...)
	journal.Expect(2, 1)
	if _, err := journal.Records(t.Context()); err != nil {
		t.Fatalf("both are there: %v", err)
	}
	journal, api = journalOn(t, golden(t)[:2]...)
	journal.Expect(3, 1)
	_, err := journal.Records(t.Context())
	var lost *Error
	if !errors.As(err, &lost) || lost.Reason != "ReleaseLost" || lost.Temporary {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"release 3 of Sync shop/shop", "restore the Secrets belay.shop.3.*", "go on without: kubectl annotate sync shop -n shop --overwrite belay.dev/without-release=3 "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if len(api.writes) > 0 {
		t.Errorf("something was written: %v", api.writes)
	}
}

func TestAfterItsSecretsAreDeletedAReleaseIsForgotten(t *testing.T) {
	secrets := golden(t)
	annotations := secrets[2].GetAnnotations()
	annotations[annotationChecksum] = strings.Repeat("0", 64)
	secrets[2].SetAnnotations(annotations)
	journal, api := journalOn(t, secrets...)
	if _, err := journal.Records(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Load(t.Context(), 3); err == nil {
		t.Fatal("release 3 is read although its checksum is wrong")
	}
	api.mu.Lock()
	delete(api.secrets, secrets[2].GetName()) // as the message advises
	api.mu.Unlock()
	if _, err := journal.Load(t.Context(), 3); err == nil {
		t.Fatal("release 3 is read although it is not there")
	}
	journal.Refresh()
	journal.Expect(3) // while the status tells of it
	var lost *Error
	if _, err := journal.Records(t.Context()); !errors.As(err, &lost) || lost.Reason != "ReleaseLost" || lost.Temporary {
		t.Errorf("got %v", err)
	}
	journal.Expect() // people go on without it
	records, err := journal.Records(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(records, func(r manifests.Record) bool { return r.Number == 3 }) {
		t.Errorf("release 3 is still told of: %v", records)
	}
}
