package health

import (
	"runtime"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// BenchmarkOf measures the health of one object, of Kubernetes' own kinds and of one in the table.
func BenchmarkOf(b *testing.B) {
	for name, text := range map[string]string{
		"Deployment": `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 1}, spec: {replicas: 1},
			status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1,
			conditions: [{type: Available, status: "True"}, {type: Progressing, status: "True", reason: NewReplicaSetAvailable}]}}`,
		"Service":        `{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: ClusterIP, clusterIP: 10.0.0.1}, status: {loadBalancer: {}}}`,
		"Ingress":        `{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}, spec: {rules: [{host: a.example.com}]}, status: {loadBalancer: {}}}`,
		"ServiceAccount": `{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}}`,
		"ConfigMap":      `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: b}}`,
		"Certificate": `{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: a, generation: 1},
			status: {conditions: [{type: Ready, status: "True", observedGeneration: 1}]}}`,
	} {
		b.Run(name, func(b *testing.B) {
			u := &unstructured.Unstructured{}
			body, err := yaml.YAMLToJSON([]byte(text))
			if err != nil {
				b.Fatal(err)
			}
			if err := u.UnmarshalJSON(body); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				Of(u, Rules{})
			}
		})
	}
}

// BenchmarkCompileGroup measures what the first object of a group in the table costs, and what is kept of it.
func BenchmarkCompileGroup(b *testing.B) {
	for _, name := range []string{"cert-manager.io", "argoproj.io"} {
		text, err := table.ReadFile("table/" + name + ".yaml")
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			var kept []*tableGroup
			before := heap()
			b.ReportAllocs()
			for b.Loop() {
				group, err := readGroup(text)
				if err != nil {
					b.Fatal(err)
				}
				kept = append(kept, group)
			}
			b.ReportMetric(float64(heap()-before)/float64(len(kept)), "kept-bytes")
			runtime.KeepAlive(kept)
		})
	}
}

// heap is how many bytes are in use.
func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
