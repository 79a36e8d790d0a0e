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

func TestHistoryShowsARowForEachRelease(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	at := func(ago time.Duration) metav1.Time { return metav1.NewTime(now.Add(-ago)) }
	got := historyRows([]v1alpha1.HistoryEntry{
		{Release: 42, Commit: "9f2c1e7aaaa", Result: "RolledBack", Reason: "CrashLoopBackOff", Duration: metav1.Duration{Duration: 48 * time.Second}, At: at(time.Minute)},
		{Release: 41, Commit: "41aa", Result: "Kept", Duration: metav1.Duration{Duration: 1500 * time.Millisecond}, At: at(50 * time.Hour)},
	}, now)
	want := [][]string{
		{"42", "9f2c1e7", "RolledBack", "CrashLoopBackOff", "48s", "60s ago"},
		{"41", "41aa", "Kept", "-", "1.5s", "2d2h ago"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if rows := historyRows(nil, now); len(rows) != 0 {
		t.Errorf("of no release: %v", rows)
	}
}

func TestAskingForASyncIsAskingAnew(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 7, time.UTC)
	s := &v1alpha1.Sync{}
	ask(s, false, now)
	if diff := cmp.Diff(map[string]string{v1alpha1.AnnotationSyncAt: "2026-01-02T12:00:00.000000007Z"}, s.Annotations); diff != "" {
		t.Error(diff)
	}
	ask(s, true, now.Add(1))
	want := map[string]string{
		v1alpha1.AnnotationSyncAt:  "2026-01-02T12:00:00.000000008Z",
		v1alpha1.AnnotationRetryAt: "2026-01-02T12:00:00.000000008Z",
	}
	if diff := cmp.Diff(want, s.Annotations); diff != "" {
		t.Error(diff)
	}
}
