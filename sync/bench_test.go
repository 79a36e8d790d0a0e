package sync

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// measured is how many objects releases have that are measured.
var measured = []int{4, 1000, 5000}

// BenchmarkJudge measures the verdict on a release whose objects are healthy, all but one.
func BenchmarkJudge(b *testing.B) {
	for _, many := range measured {
		b.Run(fmt.Sprint(many), func(b *testing.B) {
			reports := make([]manifests.Health, many)
			for i := range reports {
				reports[i] = manifests.Health{Condition: manifests.Healthy,
					ID: manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: fmt.Sprintf("config-%05d", i)}}
			}
			reports[many/2].Condition = manifests.Progressing
			b.ReportAllocs()
			for b.Loop() {
				judge(reports, moment{waited: time.Second}, patience{timeout: time.Minute})
			}
		})
	}
}

// BenchmarkPlan measures the order in which all objects of a release are written.
func BenchmarkPlan(b *testing.B) {
	for _, many := range measured {
		b.Run(fmt.Sprint(many), func(b *testing.B) {
			var objects []manifests.Object
			for i := range many {
				o, err := manifests.NewObject(&unstructured.Unstructured{Object: config(fmt.Sprintf("config-%05d", i), "1")}, "")
				if err != nil {
					b.Fatal(err)
				}
				objects = append(objects, o)
			}
			set, err := manifests.NewSet(objects...)
			if err != nil {
				b.Fatal(err)
			}
			release := manifests.Release{Objects: set, Owned: set.IDs()[:many/2]}
			b.ReportAllocs()
			for b.Loop() {
				plan(release, objects)
			}
		})
	}
}

// BenchmarkPassAtRest measures a pass of a Sync of three objects that has nothing to do, without what is outside of it.
func BenchmarkPassAtRest(b *testing.B) {
	a := kept(b)
	want := Want{Spec: a.spec}
	a.syncer.Sync(b.Context(), want)
	b.ReportAllocs()
	for b.Loop() {
		a.calls = a.calls[:0]
		a.syncer.Sync(b.Context(), want)
	}
}
