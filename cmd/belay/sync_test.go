package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestAskingForASyncIsAskingAnew(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 7, time.UTC)
	const first, second = "2026-01-02T12:00:00.000000007Z", "2026-01-02T12:00:00.000000008Z"
	for _, test := range []struct {
		name string
		also requests
		want map[string]string
	}{
		{"for a look", requests{}, map[string]string{v1alpha1.AnnotationSyncAt: second}},
		{"for another try", requests{retry: true}, map[string]string{v1alpha1.AnnotationSyncAt: second, v1alpha1.AnnotationRetryAt: second}},
		{"for the digests of today", requests{resolve: true}, map[string]string{v1alpha1.AnnotationSyncAt: second, v1alpha1.AnnotationResolveAt: second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &v1alpha1.Sync{}
			ask(s, requests{}, now)
			if diff := cmp.Diff(map[string]string{v1alpha1.AnnotationSyncAt: first}, s.Annotations); diff != "" {
				t.Error(diff)
			}
			ask(s, test.also, now.Add(1))
			if diff := cmp.Diff(test.want, s.Annotations); diff != "" {
				t.Error(diff)
			}
		})
	}
}
