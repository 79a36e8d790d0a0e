package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestGetShowsARowForEachSync(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	shop := told(v1alpha1.RolledBack, "2222222bbbb", "1111111aaaa", metav1.Condition{
		Type: v1alpha1.Ready, Status: metav1.ConditionFalse, Message: "commit 2222222 is held\nand more of it",
	})
	shop.Name, shop.Namespace, shop.CreationTimestamp = "shop", "team", metav1.NewTime(now.Add(-90*time.Minute))
	shop.Status.Images = make([]v1alpha1.PinnedImage, 3)
	fresh := v1alpha1.Sync{}
	fresh.Name, fresh.Namespace, fresh.CreationTimestamp = "fresh", "team", metav1.NewTime(now)
	syncs := []v1alpha1.Sync{*shop, fresh}

	want := [][]string{
		{"shop", "False", "RolledBack", "1111111", "2222222", "3", "90m", "commit 2222222 is held"},
		{"fresh", "Unknown", "", "-", "-", "0", "0s", ""},
	}
	if diff := cmp.Diff(want, getRows(syncs, false, now)); diff != "" {
		t.Error(diff)
	}
	for _, all := range []bool{false, true} {
		for i, row := range getRows(syncs, all, now) {
			if len(row) != len(getHeader(all)) {
				t.Errorf("all %t: %d columns under a header of %d", all, len(row), len(getHeader(all)))
			}
			if all {
				if diff := cmp.Diff(append([]string{"team"}, want[i]...), row); diff != "" {
					t.Error(diff)
				}
			}
		}
	}
}
