"""Mail by SMTP or Mailgun, from templates that a deployment can replace."""
