package consumer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// An APIError is an error of the resource API, in its own words.
type APIError struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *APIError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

// Verify asks whether number (+E164) is that of the SIM behind the connection
// that was authorized. It uses the grant up. A refusal is an *APIError.
func (c *Client) Verify(ctx context.Context, g Grant, number string) (bool, error) {
	body, err := json.Marshal(map[string]string{"phoneNumber": number})
	if err != nil {
		return false, err
	}
	var answer struct {
		Verified bool `json:"devicePhoneNumberVerified"`
	}
	err = c.call(ctx, g, http.MethodPost, "/verify", body, &answer)
	return answer.Verified, err
}

// PhoneNumber asks for the number (+E164) of the SIM behind the connection that
// was authorized. It uses the grant up. A refusal is an *APIError.
func (c *Client) PhoneNumber(ctx context.Context, g Grant) (string, error) {
	var answer struct {
		Number string `json:"devicePhoneNumber"`
	}
	err := c.call(ctx, g, http.MethodGet, "/device-phone-number", nil, &answer)
	return answer.Number, err
}

func (c *Client) call(ctx context.Context, g Grant, method, path string, body []byte, answer any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.api+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+g.token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.cfg.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		e := &APIError{Status: resp.StatusCode}
		if json.Unmarshal(text, e) != nil || e.Code == "" {
			e.Code, e.Message = "UNREADABLE", http.StatusText(resp.StatusCode)
		}
		return e
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
