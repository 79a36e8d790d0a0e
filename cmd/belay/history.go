package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func newHistory(flags *genericclioptions.ConfigFlags) *cobra.Command {
	var o output
	cmd := &cobra.Command{
		Use:     "history SYNC",
		Short:   "List a Sync's latest releases and what became of each",
		Example: "  belay history shop -n shop",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := connect(flags)
			if err != nil {
				return err
			}
			sync, err := read(cmd, c, namespace, args[0])
			if err != nil {
				return err
			}
			history := sync.Status.History
			return o.print(cmd.OutOrStdout(), history,
				[]string{"RELEASE", "COMMIT", "RESULT", "REASON", "TOOK", "WHEN"}, historyRows(history, time.Now()))
		},
	}
	o.addTo(cmd)
	flags.AddFlags(cmd.Flags())
	return cmd
}

func historyRows(history []v1alpha1.HistoryEntry, now time.Time) [][]string {
	var rows [][]string
	for _, h := range history {
		reason := h.Reason
		if reason == "" {
			reason = "-"
		}
		rows = append(rows, []string{strconv.Itoa(h.Release), shortHash(h.Commit), h.Result, reason,
			h.Duration.Duration.String(), duration.HumanDuration(now.Sub(h.At.Time)) + " ago"})
	}
	return rows
}

func shortHash(hash string) string { return hash[:min(7, len(hash))] }
