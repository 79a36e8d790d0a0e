package cluster

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// benchmarked are the releases that are measured, by their objects.
var benchmarked = []struct {
	name string
	of   func(b *testing.B) manifests.Release
}{
	{"4", func(b *testing.B) manifests.Release { return releaseOf(b, app("web")) }},
	{"1000ConfigMaps", func(b *testing.B) manifests.Release { return releaseOf(b, configMaps(1000)) }},
	{"5000ConfigMaps", func(b *testing.B) manifests.Release { return releaseOf(b, configMaps(5000)) }},
	{"100Workloads", func(b *testing.B) manifests.Release {
		var texts []string
		for i := range 100 {
			texts = append(texts, app(fmt.Sprintf("web-%03d", i))...)
		}
		return releaseOf(b, texts)
	}},
}

// app is a Deployment, a ServiceAccount, a Service and an Ingress, as they are in the cluster.
func app(name string) (texts []string) {
	for _, text := range []string{
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"NAME","namespace":"shop","generation":1,"uid":"NAME"},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"NAME"}},
			"template":{"metadata":{"labels":{"app":"NAME"}},"spec":{"containers":[{"name":"web","image":"ghcr.io/acme/NAME@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}]}}},
			"status":{"observedGeneration":1,"replicas":1,"updatedReplicas":1,"readyReplicas":1,"availableReplicas":1,"conditions":[{"type":"Available","status":"True"},{"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable"}]}}`,
		`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"NAME","namespace":"shop"}}`,
		`{"apiVersion":"v1","kind":"Service","metadata":{"name":"NAME","namespace":"shop"},"spec":{"selector":{"app":"NAME"},"ports":[{"port":80}]},"status":{"loadBalancer":{}}}`,
		`{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"NAME","namespace":"shop"},"spec":{"rules":[{"host":"NAME.example.com"}]},"status":{"loadBalancer":{}}}`,
	} {
		texts = append(texts, strings.ReplaceAll(text, "NAME", name))
	}
	return texts
}

// configMaps is so many ConfigMaps of 1 KiB that compresses as badly as hashes do.
func configMaps(many int) (texts []string) {
	for i := range many {
		var value strings.Builder
		for j := range 16 {
			fmt.Fprintf(&value, "%x", sha256.Sum256(fmt.Append(nil, i, j)))
		}
		texts = append(texts, fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"config-%05d","namespace":"shop"},"data":{"value":%q}}`, i, value.String()))
	}
	return texts
}

func releaseOf(b *testing.B, texts []string) manifests.Release {
	var contents []map[string]any
	for _, text := range texts {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON([]byte(text)); err != nil {
			b.Fatal(err)
		}
		contents = append(contents, u.Object)
	}
	return manifests.Release{Number: 7, Commit: manifests.Commit{Hash: strings.Repeat("9f2c", 10), Author: "ana", Subject: "Bump cart"},
		Path: "deploy", Rendered: strings.Repeat("r", 64), Options: "0123456789abcdef", Objects: set(b, contents...)}
}

// BenchmarkPack measures making the text of a release that is stored.
func BenchmarkPack(b *testing.B) {
	for _, size := range benchmarked {
		b.Run(size.name, func(b *testing.B) {
			release := size.of(b)
			var packed []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if packed, err = pack(release); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(packed)), "stored-bytes")
		})
	}
}

// BenchmarkUnpack measures reading a stored release, and the digest that tells whether it is the one that was stored.
func BenchmarkUnpack(b *testing.B) {
	for _, size := range benchmarked {
		b.Run(size.name, func(b *testing.B) {
			packed, err := pack(size.of(b))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				release, err := unpack(packed)
				if err != nil {
					b.Fatal(err)
				}
				release.Objects.Digest()
			}
		})
	}
}

// BenchmarkReadRecord measures reading what the journal knows of a release without its objects.
func BenchmarkReadRecord(b *testing.B) {
	fixed, err := json.Marshal(record{Format: format, Commit: manifests.Commit{Hash: strings.Repeat("9f2c", 10), Author: "ana", Subject: "Bump cart"},
		Rendered: strings.Repeat("r", 64), Objects: strings.Repeat("o", 64), Options: "0123456789abcdef", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	if err != nil {
		b.Fatal(err)
	}
	outcome, err := json.Marshal(manifests.Outcome{Result: manifests.Kept, Took: time.Second, Pruned: true, Healthy: true})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readRecord(7, string(fixed), string(outcome)); err != nil {
			b.Fatal(err)
		}
	}
}
