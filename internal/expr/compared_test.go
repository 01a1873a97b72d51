package expr

import "testing"

// TestCompared checks what a message says of the data that a condition did not hold for.
func TestCompared(t *testing.T) {
	t.Parallel()
	const body = `{"ok": false, "errors": 12, "rate": 0.123456, "status": "canary", "queue": {"depth": 1234567, "a b": 3}, "list": [1, 2], "none": null}`
	for condition, want := range map[string]string{
		`body.ok`:                                ": body.ok is false",
		`body.errors < 5`:                        ": body.errors is 12",
		`status == 200 && body.errors < 5`:       ": body.errors is 12",
		`body.rate < 0.1 && body.errors < 5`:     ": body.rate is 0.123, body.errors is 12",
		`body.queue.depth < 10`:                  ": body.queue.depth is 1.23e+06",
		`body["queue"]["a b"] < 3`:               ": body.queue.a b is 3",
		`body.errors < 5 || body.errors == 6`:    ": body.errors is 12",
		`body.status == "ok"`:                    "",
		`body.none == 1`:                         "",
		`body.list.all(i, i > 1)`:                "",
		`body.list[0] > 1`:                       "",
		`has(body.missing) && body.missing == 1`: "",
		`headers["x-errors"] == "0"`:             "",
		`status == 201`:                          "",
		`release.tag == "1.0.0"`:                 "",
		`body.ok && body.errors < 1 && body.rate < 0.1 && body.queue.depth < 1`: ": body.ok is false, body.errors is 12, body.rate is 0.123",
	} {
		t.Run(condition, func(t *testing.T) {
			t.Parallel()
			program, err := Compile(condition, HTTPResponse)
			if err != nil {
				t.Fatal(err)
			}
			a := Response{Status: 200, Headers: map[string]string{"content-type": "application/json", "x-errors": "1"}, Body: []byte(body)}
			if got := program.compared(t.Context(), a); got != want {
				t.Errorf("it is %q, want %q", got, want)
			}
			if a.Truncated = true; program.compared(t.Context(), a) != "" {
				t.Error("it names what it has not read")
			}
		})
	}
	program, err := Compile("body == 5", HTTPResponse)
	if err != nil {
		t.Fatal(err)
	}
	if got := program.compared(t.Context(), Response{Headers: map[string]string{"content-type": "text/plain"}, Body: []byte("canary")}); got != "" {
		t.Errorf("of a text, it says %q", got)
	}
}
