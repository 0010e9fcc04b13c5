"""Settings of sign-in with SAML (contract oauth §2, §6, §8)."""

from pydantic import BaseModel, SecretStr

from locutory import env


class SamlSettings(BaseModel):
    """A SAML identity provider."""

    saml_entry_point: str | None = env("SAML_ENTRY_POINT", None, "Sign-in address of the provider")
    saml_issuer: str | None = env("SAML_ISSUER", None, "What this server calls itself")
    saml_cert: str | None = env(
        "SAML_CERT", None, "The provider's certificate: PEM, base64 or the path of a file"
    )
    saml_session_secret: SecretStr | None = env(
        "SAML_SESSION_SECRET", None, "Signs the cookie of the login session"
    )
    saml_callback_url: str = env(
        "SAML_CALLBACK_URL", "/oauth/saml/callback", "Address that the provider posts to"
    )
    saml_use_authn_response_signed: str = env(
        "SAML_USE_AUTHN_RESPONSE_SIGNED",
        "",
        "Exactly 'true': the response must be signed instead of the assertion",
        words=("true", "false"),
    )
    saml_idp_entity_id: str | None = env(
        "LOCUTORY_SAML_IDP_ENTITY_ID",
        None,
        "Name of the provider; unset: whatever name the certificate's owner gives itself",
    )
    saml_email_claim: str | None = env("SAML_EMAIL_CLAIM", None, "Attribute of the e-mail address")
    saml_username_claim: str | None = env("SAML_USERNAME_CLAIM", None, "Attribute of the user name")
    saml_given_name_claim: str | None = env(
        "SAML_GIVEN_NAME_CLAIM", None, "Attribute of the first name"
    )
    saml_family_name_claim: str | None = env(
        "SAML_FAMILY_NAME_CLAIM", None, "Attribute of the family name"
    )
    saml_picture_claim: str | None = env("SAML_PICTURE_CLAIM", None, "Attribute of the picture")
    saml_name_claim: str | None = env("SAML_NAME_CLAIM", None, "Attribute of the display name")
    saml_button_label: str | None = env("SAML_BUTTON_LABEL", None, "Text of the SAML button")
    saml_image_url: str | None = env("SAML_IMAGE_URL", None, "Image of the SAML button")

    @property
    def saml_configured(self) -> bool:
        """``True`` when SAML sign-in is completely configured."""
        return bool(
            self.saml_entry_point
            and self.saml_issuer
            and self.saml_cert
            and self.saml_session_secret
        )
